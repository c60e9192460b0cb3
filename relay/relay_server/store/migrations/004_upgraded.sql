-- What relays of other schemas left, brought to what a relay of today expects.

-- What replaced what. Only messages that replace another are in it. (Databases of one schema have it, and others not.)
CREATE INDEX IF NOT EXISTS messages_supersedes ON messages (supersedes) WHERE supersedes IS NOT NULL;

-- A claim from before claims belonged to a process is its agent's last one's.
UPDATE work SET holder_instance = (SELECT instance FROM agents AS a WHERE a.agent = holder AND a.epoch = holder_epoch)
WHERE holder IS NOT NULL AND holder_instance IS NULL;

-- Done without a history was said by its holder: who repeats that must be known.
UPDATE work SET history = CAST(json_array(changed_at, 'complete', 'done', holder, fence, NULL) || char(10) AS BLOB)
WHERE state = 'done' AND holder IS NOT NULL AND history IS NULL;
