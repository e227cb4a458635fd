#!lua flags=allow-oom
-- Removes a token. KEYS: token, tokens. ARGV: hash.
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 'done'
