-- Shows what lies in the outbox, oldest first, to one program at a time.
--
-- KEYS[1] outbox       stream
-- KEYS[2] lease        string: token of the program that empties it
-- ARGV    token, how many entries, ms the lease holds
--
-- Replies {'taken', how many lie there, id, entry as a JSON list of names and values, id, entry, ...}
--         {'busy'}: another program has the lease
--
-- Nothing is removed: what was taken and not moved on is shown again, to the next one once the lease is over. The lease
-- only keeps programs from doing each other's work; one that wakes up late moves an event twice, which is harmless.
local outbox, lease = unpack(KEYS)
local token, count, lease_ms = unpack(ARGV)
local holder = redis.call('GET', lease)
if holder and holder ~= token then return { 'busy' } end
redis.call('SET', lease, token, 'PX', lease_ms)
local reply = { 'taken', redis.call('XLEN', outbox) }
for _, entry in ipairs(redis.call('XRANGE', outbox, '-', '+', 'COUNT', count)) do
  reply[#reply + 1] = entry[1]
  reply[#reply + 1] = cjson.encode(entry[2])
end
return reply
