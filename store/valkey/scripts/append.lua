#!lua
-- Writes one piece of a draft, which expires by itself unless more comes.
-- KEYS: draft. ARGV: index of the piece, the piece, life of the draft in ms.
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 'done'
