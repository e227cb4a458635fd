#!lua
-- Reserves room in an account's quota for a secret, until it is released or its life is over. Returns done, over, or
-- more: call again, it may not be over when more has been removed that has ended. Repeating it is harmless.
-- KEYS: members (sorted set of names by their ends), charges (hash of charges by name, and of their sum as 'sum').
-- ARGV: name, charge, life in ms, quota.
local members, charges, name = KEYS[1], KEYS[2], ARGV[1]
local charge, life, quota = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local batch = 1000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local sum = tonumber(redis.call('HGET', charges, 'sum') or 0)
local ended = redis.call('ZRANGEBYSCORE', members, '-inf', now, 'LIMIT', 0, batch)
for _, other in ipairs(ended) do
	sum = sum - tonumber(redis.call('HGET', charges, other) or 0)
	redis.call('ZREM', members, other)
	redis.call('HDEL', charges, other)
end
if #ended > 0 then
	redis.call('HSET', charges, 'sum', string.format('%.0f', sum))
end
if redis.call('HEXISTS', charges, name) == 1 then
	return 'done'
end
if sum + charge > quota then
	return #ended == batch and 'more' or 'over'
end
redis.call('HSET', charges, name, ARGV[2], 'sum', string.format('%.0f', sum + charge))
redis.call('ZADD', members, now + life, name)
if redis.call('PEXPIRETIME', members) < now + life then
	redis.call('PEXPIREAT', members, now + life)
end
redis.call('PEXPIREAT', charges, redis.call('PEXPIRETIME', members))
return 'done'
