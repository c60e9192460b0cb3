"""scopes.py: the words for what a token may do."""

from typing import get_args

from relay_proto.scopes import ALL, SCOPES, Scope


def test_each_scope_is_a_subject_and_a_verb_and_one_word_is_all_of_them() -> None:
    assert set(get_args(Scope)) == SCOPES | {ALL}
    assert {scope.partition(":")[2] for scope in SCOPES} == {"read", "write", "create"}
