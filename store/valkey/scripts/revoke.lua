#!lua flags=allow-oom
-- Takes back a commit that could not be confirmed. Its id was told to nobody.
-- KEYS: secret, live, draft. ARGV: name, draft's nonce.
if redis.call('HGET', KEYS[1], 'draft') == ARGV[2] then
	redis.call('UNLINK', KEYS[1])
	redis.call('ZREM', KEYS[2], ARGV[1])
end
redis.call('UNLINK', KEYS[3])
return 'done'
