#!lua flags=allow-oom
-- Gives back what reserve.lua has reserved. Returns done. Repeating it is harmless.
-- KEYS: members, used. ARGV: name:size, size.
if redis.call('ZREM', KEYS[1], ARGV[1]) == 1 and redis.call('DECRBY', KEYS[2], ARGV[2]) <= 0 then
	redis.call('DEL', KEYS[2])
end
return 'done'
