#!lua flags=allow-oom
-- Ends a claimant's lease, and removes the ciphertext. Returns {done, account or ''}, {gone} when it is another's or over,
-- or {none} when nothing was claimed.
-- KEYS: gone, claimed. ARGV: claimant.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[2], 'claimant', 'until', 'account')
if found[1] == ARGV[1] and tonumber(found[2]) > now then
	redis.call('UNLINK', KEYS[2])
	return {'done', found[3] or ''}
end
if redis.call('EXISTS', KEYS[1]) == 1 then
	return {'gone'}
end
return {'none'}
