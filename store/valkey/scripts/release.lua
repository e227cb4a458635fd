#!lua flags=allow-oom
-- Gives back what reserve.lua has reserved, now or in some time, if that is sooner than it would be given back anyway.
-- Returns done. Repeating it is harmless.
-- KEYS: members, charges. ARGV: name, ms from now.
local members, charges, name, later = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
if later > 0 then
	local time = redis.call('TIME')
	redis.call('ZADD', members, 'XX', 'LT', time[1] * 1000 + math.floor(time[2] / 1000) + later, name)
	return 'done'
end
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
