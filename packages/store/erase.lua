-- Erases what is known of a number: its verifications, pending ones canceled first, and its budgets.
--
-- KEYS[1] sends        string: times of sends to the number, and of which verification
-- KEYS[2] wrong checks string: times of wrong checks of the number
-- KEYS[3] row          string: wrong checks of the number in a row
-- KEYS[4] payments     string: wrong checks of its payments in a row
-- KEYS[5] agenda       sorted set
-- ARGV    prefix of verification keys, prefix of the number's pointers
--
-- Replies {'erased', how many verifications}
--
-- One step: a start, a check or a claim comes before it and is erased, or after it and finds nothing. What is kept of
-- sends outlives every verification of the number and names them all (test/verification/policy.test.ts); but for a test
-- number, which is started without end, it names the newest only, and the others go with their time.
--@include clock.lua
--@include windows.lua
--@include meters.lua
--@include ledger.lua

local sends_key, wrong_key, row_key, payment_key, agenda = unpack(KEYS)
local prefix, pointers = unpack(ARGV)
local now = now_ms()
local erased = 0

for _, id in ipairs(window_ids(sends_key)) do
  local key = prefix .. id
  local purpose = redis.call('HGET', key, 'purpose')
  if purpose then
    if status_at(key, agenda, id, now) == 'pending' then
      end_verification(key, agenda, id, 'canceled', 'canceled', now)
    end
    redis.call('ZREM', agenda, id)
    redis.call('DEL', key, pointers .. purpose)
    erased = erased + 1
  end
end
redis.call('DEL', sends_key, wrong_key, row_key, payment_key)
return { 'erased', erased }
