#!lua flags=allow-oom
-- Gives back what reserve.lua has reserved. Returns done. Repeating it is harmless.
-- KEYS: members, charges. ARGV: name.
local members, charges, name = KEYS[1], KEYS[2], ARGV[1]
if redis.call('ZREM', members, name) == 1 then
	local sum = tonumber(redis.call('HGET', charges, 'sum') or 0) - tonumber(redis.call('HGET', charges, name) or 0)
	redis.call('HDEL', charges, name)
	if redis.call('EXISTS', members) == 1 then
		redis.call('HSET', charges, 'sum', string.format('%.0f', sum))
	else
		redis.call('DEL', charges)
	end
end
return 'done'
