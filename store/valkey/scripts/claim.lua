#!lua flags=allow-oom
-- Claims a secret: this is what decides who gets it.
-- KEYS: secret, gone, claimed, live.
-- ARGV: name, operation, claimant or '' for a final claim, lease in ms, life of the ciphertext in ms, largest size that
-- is answered with the ciphertext; how often a claim may be repeated, how many times its size may be read under a lease,
-- and how many bytes besides.
-- Returns {first or repeat, size, account or '', ms left of the lease, ciphertext or false}, {gone}, {none}, or {late} when
-- the operation has been undone. The same operation may be repeated.
local secret, gone, claimed, live = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, operation, claimant, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local keep, inline = ARGV[5], tonumber(ARGV[6])
local most_repeats, read_factor, read_free = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function answer(kind)
	local found = redis.call('HMGET', claimed, 'size', 'account', 'until')
	local size = tonumber(found[1])
	return {kind, size, found[2] or '', tonumber(found[3]) - now, size <= inline and redis.call('HGET', claimed, '0')}
end

local expires = redis.call('HGET', secret, 'expires')
if expires then
	if redis.call('HEXISTS', secret, 'undone:' .. operation) == 1 then
		return {'late'}
	end
	redis.call('RENAME', secret, claimed)
	local size = redis.call('HGET', claimed, 'size')
	local ends = math.min(tonumber(expires), now + lease)
	redis.call('HSET', claimed, 'operation', operation, 'claimant', claimant, 'until', ends, 'read', size)
	redis.call('PEXPIRE', claimed, keep)
	redis.call('SET', gone, '', 'PXAT', expires)
	redis.call('ZREM', live, name)
	return answer('first')
end
if redis.call('EXISTS', gone) == 0 then
	return {'none'}
end
local owner = redis.call('HMGET', claimed, 'operation', 'claimant', 'until', 'size')
if owner[1] == operation then
	redis.call('HSET', claimed, 'operation', operation) -- a write, for WAIT to wait for
	return answer('first')
end
if claimant ~= '' and owner[2] == claimant and tonumber(owner[3]) > now then
	-- From here on nobody can undo the claim.
	local size = tonumber(owner[4])
	local repeats = redis.call('HINCRBY', claimed, 'repeats', 1)
	local read = redis.call('HINCRBY', claimed, 'read', size)
	if repeats > most_repeats or read > read_factor * size + read_free then
		redis.call('UNLINK', claimed)
		return {'gone'}
	end
	return answer('repeat')
end
return {'gone'}
