#!lua
-- Makes a draft, whose last piece comes with the call, a secret.
-- KEYS: secret, gone, draft, live.
-- ARGV: name, draft's nonce, life in ms, size, number of pieces, last piece, restrictions or '', account or ''.
-- Returns done, exists, or lost (pieces of the draft are missing). Repeating it is harmless.
local secret, gone, draft, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, nonce, life, size, pieces = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], tonumber(ARGV[5])
local last, restrictions = ARGV[6], ARGV[7]

if redis.call('HGET', secret, 'draft') == nonce then
	redis.call('HSET', secret, 'draft', nonce) -- a write, for WAIT to wait for
	return 'done'
end
if redis.call('EXISTS', secret, gone) > 0 then
	return 'exists'
end
if pieces > 1 then
	if redis.call('HLEN', draft) ~= pieces - 1 then
		return 'lost'
	end
	redis.call('RENAME', draft, secret)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', secret, 'draft', nonce, 'size', size, 'expires', now + life, pieces - 1, last)
if restrictions ~= '' then
	redis.call('HSET', secret, 'restrictions', restrictions)
end
if ARGV[8] ~= '' then
	redis.call('HSET', secret, 'account', ARGV[8])
end
redis.call('PEXPIREAT', secret, now + life)
redis.call('ZREMRANGEBYSCORE', live, '-inf', now)
redis.call('ZADD', live, now + life, name)
if redis.call('PEXPIRETIME', live) < now + life then
	redis.call('PEXPIREAT', live, now + life)
end
return 'done'
