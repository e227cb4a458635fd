#!lua flags=no-writes
-- Tells what is known about a secret: {live, size, life in ms, restrictions}, {gone} or {none}.
-- KEYS: secret, gone.
local found = redis.call('HMGET', KEYS[1], 'size', 'expires', 'restrictions')
if found[1] then
	local time = redis.call('TIME')
	local now = time[1] * 1000 + math.floor(time[2] / 1000)
	return {'live', tonumber(found[1]), tonumber(found[2]) - now, found[3] or ''}
end
if redis.call('EXISTS', KEYS[2]) == 1 then
	return {'gone'}
end
return {'none'}
