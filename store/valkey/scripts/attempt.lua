#!lua flags=allow-oom
-- Counts a guess at a passphrase, unless there were too many: returns {done, 0}, or {wait, ms until more are heard}.
-- KEYS: counter of all guesses, counter of those from one network. ARGV: limit and window in ms, of each.
local wait = 0
for i, key in ipairs(KEYS) do
	if tonumber(redis.call('GET', key) or 0) >= tonumber(ARGV[2 * i - 1]) then
		wait = math.max(wait, redis.call('PTTL', key), 1)
	end
end
if wait > 0 then
	return {'wait', wait}
end
for i, key in ipairs(KEYS) do
	if redis.call('INCR', key) == 1 then
		redis.call('PEXPIRE', key, ARGV[2 * i])
	end
end
return {'done', 0}
