#!lua flags=allow-oom
-- Takes one guess back: one that was right, or, with its mark, one that was not answered. Returns done. With a mark,
-- repeating it is harmless.
-- KEYS: counters as for attempt.lua, and the attempt's mark where that is needed.
if KEYS[4] and redis.call('DEL', KEYS[4]) == 0 then
	return 'done'
end
for i = 1, 3 do
	if tonumber(redis.call('GET', KEYS[i]) or 0) > 0 then
		redis.call('DECR', KEYS[i])
	end
end
return 'done'
