#!lua flags=allow-oom
-- Takes off a lease what was counted as read and was not. Returns done. KEYS: claimed. ARGV: bytes.
if redis.call('HEXISTS', KEYS[1], 'until') == 1 then
	redis.call('HINCRBY', KEYS[1], 'read', -ARGV[1])
end
return 'done'
