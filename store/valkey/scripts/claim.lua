#!lua flags=allow-oom
-- Claims a secret: this is what decides who gets it.
-- KEYS: secret, gone, claimed, live.
-- ARGV: name, operation, claimant or '' for a final claim, lease in ms, life of the ciphertext in ms, largest size that
-- is answered with the ciphertext; and, for a claim without a look before it, the largest size, else ''.
-- Returns {first, size, account or '', ms left of the lease, ciphertext or false}, {gone}, {none}, {late} when the
-- operation has been undone, or {look} when the secret is larger or has restrictions. The same operation may be repeated.
local secret, gone, claimed, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, operation, claimant, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local keep, inline = ARGV[5], tonumber(ARGV[6])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local found = redis.call('HMGET', secret, 'expires', 'size', 'restrictions', 'undone:' .. operation)
local expires, size = found[1], found[2]
if expires then
	if found[4] then
		return {'late'}
	end
	if ARGV[7] ~= '' and (found[3] or tonumber(size) > tonumber(ARGV[7])) then
		return {'look'}
	end
	redis.call('RENAME', secret, claimed)
	local ends = math.min(tonumber(expires), now + lease)
	redis.call('HSET', claimed, 'operation', operation, 'claimant', claimant, 'until', ends, 'read', size, 'reads:' .. operation, size)
	redis.call('PEXPIRE', claimed, keep)
	redis.call('SET', gone, '', 'PXAT', expires)
	redis.call('ZREM', live, name)
elseif redis.call('HGET', claimed, 'operation') == operation then
	redis.call('HSET', claimed, 'operation', operation) -- a write, for WAIT to wait for
else
	return {redis.call('EXISTS', gone) == 1 and 'gone' or 'none'}
end
found = redis.call('HMGET', claimed, 'size', 'account', 'until')
size = tonumber(found[1])
return {'first', size, found[2] or '', tonumber(found[3]) - now, size <= inline and redis.call('HGET', claimed, '0')}
