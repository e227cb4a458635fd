#!lua
-- Stores a token. With 'first', only if there is none of its kind; with 'replace', instead of all others of its kind.
-- Returns done or exists. Repeating it is harmless.
-- KEYS: token, tokens of its kind. ARGV: hash, life in ms, upload size limit, 'first', 'replace' or ''.
local token, tokens, hash, life, how = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', tokens, '-inf', now)
if how == 'first' and redis.call('ZCARD', tokens) > 0 and redis.call('EXISTS', token) == 0 then
	return 'exists'
end
if how == 'replace' then
	for _, other in ipairs(redis.call('ZRANGE', tokens, 0, -1)) do
		redis.call('DEL', tokens .. ':' .. other)
	end
	redis.call('DEL', tokens)
end
redis.call('SET', token, ARGV[3], 'PXAT', now + life)
redis.call('ZADD', tokens, now + life, hash)
if redis.call('PEXPIRETIME', tokens) < now + life then
	redis.call('PEXPIREAT', tokens, now + life)
end
return 'done'
