#!lua flags=allow-oom
-- Takes off a lease what an operation was counted to read and has not read. Returns done. Repeating it is harmless.
-- KEYS: claimed. ARGV: operation, bytes, or '' for all that was counted.
local counted = redis.call('HGET', KEYS[1], 'reads:' .. ARGV[1])
if counted then
	redis.call('HDEL', KEYS[1], 'reads:' .. ARGV[1])
	redis.call('HINCRBY', KEYS[1], 'read', -(ARGV[2] ~= '' and ARGV[2] or counted))
end
return 'done'
