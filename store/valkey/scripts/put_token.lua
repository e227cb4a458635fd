#!lua
-- Stores a token. With 'first', only if there is none. Returns done or exists. Repeating it is harmless.
-- KEYS: token, tokens. ARGV: hash, life in ms, upload size limit, 'first' or ''.
local token, tokens, hash, life = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', tokens, '-inf', now)
if ARGV[4] == 'first' and redis.call('ZCARD', tokens) > 0 and redis.call('EXISTS', token) == 0 then
	return 'exists'
end
redis.call('SET', token, ARGV[3], 'PXAT', now + life)
redis.call('ZADD', tokens, now + life, hash)
if redis.call('PEXPIRETIME', tokens) < now + life then
	redis.call('PEXPIREAT', tokens, now + life)
end
return 'done'
