#!lua
-- Reserves room in an account's quota for a secret, until it is released or its life is over. Returns done or over.
-- Repeating it is harmless.
-- KEYS: members (sorted set of 'name:size' by their ends), used (their sizes together).
-- ARGV: name:size, size, life in ms, quota.
local members, used, member = KEYS[1], KEYS[2], ARGV[1]
local size, life, quota = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', members, '-inf', now, 'LIMIT', 0, 1000)) do
	redis.call('ZREM', members, ended)
	redis.call('DECRBY', used, string.match(ended, '%d+$'))
end
if redis.call('ZSCORE', members, member) then
	return 'done'
end
if tonumber(redis.call('GET', used) or 0) + size > quota then
	return 'over'
end
redis.call('ZADD', members, now + life, member)
redis.call('INCRBY', used, ARGV[2])
if redis.call('PEXPIRETIME', members) < now + life then
	redis.call('PEXPIREAT', members, now + life)
end
redis.call('PEXPIREAT', used, redis.call('PEXPIRETIME', members))
return 'done'
