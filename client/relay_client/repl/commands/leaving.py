"""What a command raises that is no error: the user wants to leave, or to be somebody else."""


class Quit(Exception):
    """The user wants to leave."""


class Switch(Exception):
    """The user wants to go on with another profile: `profile` is its name."""

    def __init__(self, profile: str) -> None:
        super().__init__(profile)
        self.profile = profile
