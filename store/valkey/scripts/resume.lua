#!lua flags=allow-oom
-- Repeats a claim under its lease, for its claimant. From here on nobody can undo the claim.
-- KEYS: gone, claimed.
-- ARGV: claimant, operation, place to read from (from the end if negative), largest size that is answered with the
-- ciphertext; how often a claim may be repeated, how many times its size may be read, and how many bytes besides.
-- Returns {repeat, size, account or '', ms left of the lease, ciphertext or false, bytes counted as read}, {used} when it
-- was repeated too often, {gone} when the claim is another's or over, or {none} when nothing was claimed. The same
-- operation may be repeated.
local gone, claimed = KEYS[1], KEYS[2]
local claimant, operation, from, inline = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local most_repeats, read_factor, read_free = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', claimed, 'claimant', 'until', 'size', 'account', 'read', 'repeats')
if found[1] ~= claimant or tonumber(found[2]) <= now then
	return {redis.call('EXISTS', gone) == 1 and 'gone' or 'none'}
end
local size = tonumber(found[3])
local counted = from < 0 and math.min(-from, size) or math.max(size - from, 0)
if redis.call('HSETNX', claimed, 'reads:' .. operation, counted) == 1 then
	local repeats, read = tonumber(found[6] or 0) + 1, tonumber(found[5]) + counted
	if repeats > most_repeats or read > read_factor * size + read_free then
		redis.call('HDEL', claimed, 'reads:' .. operation)
		return {'used'}
	end
	redis.call('HSET', claimed, 'repeats', repeats, 'read', read)
else
	redis.call('HSET', claimed, 'reads:' .. operation, counted) -- a write, for WAIT to wait for
end
return {'repeat', size, found[4] or '', tonumber(found[2]) - now, size <= inline and redis.call('HGET', claimed, '0'), counted}
