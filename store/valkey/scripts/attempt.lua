#!lua flags=allow-oom
-- Counts a guess at a passphrase, unless there were too many: returns {done}, or {wait, ms until more are heard}.
-- Repeating it is harmless.
-- KEYS: counter of all guesses, of those from one near network, of those from one wide network, this attempt's mark.
-- ARGV: limit of all (0: any number), how many of those are in reserve for wide networks that have not guessed, window
-- of all in ms, limit of a near network, its window in ms, life of the mark in ms.
local all, near, wide, mark = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local limit, reserve, nearLimit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])

local function count(key) return tonumber(redis.call('GET', key) or 0) end
local function left(key) return math.max(redis.call('PTTL', key), 1) end

if redis.call('EXISTS', mark) == 1 then
	redis.call('SET', mark, '', 'PX', ARGV[6]) -- a write, for WAIT to wait for
	return {'done'}
end
local wait = 0
if count(near) >= nearLimit then
	wait = left(near)
end
if limit > 0 then
	local guesses = count(all)
	if guesses >= limit or guesses >= limit - reserve and count(wide) > 0 then
		wait = math.max(wait, left(all))
	end
end
if wait > 0 then
	return {'wait', wait}
end
if redis.call('INCR', near) == 1 then
	redis.call('PEXPIRE', near, ARGV[5])
end
if limit > 0 then
	if redis.call('INCR', all) == 1 then
		redis.call('PEXPIRE', all, ARGV[3])
	end
	redis.call('INCR', wide)
	redis.call('PEXPIREAT', wide, redis.call('PEXPIRETIME', all)) -- they are forgotten together
end
redis.call('SET', mark, '', 'PX', ARGV[6])
return {'done'}
