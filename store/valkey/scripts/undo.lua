#!lua flags=allow-oom
-- Puts a claimed secret back as it was, if the claim is this operation's and was not repeated. Repeating the undoing is
-- harmless.
-- With 'fence', or when there was nothing to undo, the operation is remembered: a claim of it that is still on its way
-- here comes too late (see claim.lua).
-- KEYS: secret, gone, claimed, live. ARGV: name, operation, 'fence' or ''.
local secret, gone, claimed, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, operation, fence = ARGV[1], ARGV[2], ARGV[3] == 'fence'

local found = redis.call('HMGET', claimed, 'operation', 'repeats', 'expires')
if found[1] == operation and not found[2] then
	local expires = tonumber(found[3])
	redis.call('HDEL', claimed, 'operation', 'claimant', 'until', 'read')
	redis.call('RENAME', claimed, secret)
	redis.call('PEXPIREAT', secret, expires)
	redis.call('DEL', gone)
	redis.call('ZADD', live, expires, name)
	if redis.call('PEXPIRETIME', live) < expires then
		redis.call('PEXPIREAT', live, expires)
	end
else
	fence = true
end
if fence then
	for _, key in ipairs({secret, claimed}) do
		if redis.call('EXISTS', key) == 1 then
			redis.call('HSET', key, 'undone:' .. operation, '')
		end
	end
end
return 'done'
