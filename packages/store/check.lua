-- Checks one typed code.
--
-- KEYS[1] verification hash
-- KEYS[2] wrong checks string: times of wrong checks of the number
-- KEYS[3] agenda       sorted set
-- KEYS[4] idempotency  string; not touched when ARGV[2] is ''
-- KEYS[5] row          string: wrong checks of the number in a row
-- KEYS[6] payments     string: wrong checks of the number's payments in a row
-- KEYS[7...10] scopes of guesses, hashes of meters, in the order of policy.guess; a key that ends in `@-` is none
-- ARGV    id, fingerprint of the request ('' without Idempotency-Key), 'silent' or '', then the typed code's MAC under
--         each configured key, newest first
--
-- Replies {'approved' | 'wrong' | 'expired' | 'exhausted' | 'canceled' | 'already_used', checks left, id, explain}:
--         none are left unless it is pending; the id is the replayed answer's own; explain as start.lua
--         {'refused', 'unknown_verification' | 'number_disabled' | 'check_limit' | 'payment_blocked' | 'guess_limit' |
--          'idempotency_mismatch', retry after ms (-1: never)[, name of the limit]}
--
-- The right code is approved once, ever: the status moves in the same step that compares. A wrong code counts for the
-- verification, for the number and for who typed it; when a budget is spent nothing is compared, so even the right
-- code says nothing to a guesser. An ended verification is never written to again, nor brought back after its time.
--
-- What is typed for a test number counts for its verification and for who typed it; for the number it would end a run of
-- tests after the tenth.
--
-- To a silent caller a number that is disabled, or whose budget is spent, is one whose codes are all wrong; and a code
-- typed where there is nothing to compare it with counts for who typed it as any wrong one does, so that a stranger can
-- neither tell them apart nor go through numbers without end.
--@include clock.lua
--@include windows.lua
--@include meters.lua
--@include ledger.lua
--@include guess.lua

local key, wrong_key, agenda, idempotency, row_key, payment_key = unpack(KEYS)
local id, fingerprint, silent = unpack(ARGV)

local function is_own_mac(mac)
  for i = 4, #ARGV do
    if ARGV[i] == mac then return true end
  end
  return false
end

-- Kept as `fingerprint result checks_left id`.
local function remember(result, checks_left, explain)
  if fingerprint ~= '' then
    local kept = table.concat({ fingerprint, result, checks_left, id }, ' ')
    redis.call('SET', idempotency, kept, 'PX', policy.idempotency_ttl_ms)
  end
  return { result, checks_left, id, explain or '' }
end

if fingerprint ~= '' then
  local kept = redis.call('GET', idempotency)
  if kept then
    local asked, result, checks_left, kept_id = string.match(kept, '^(%S+) (%S+) (%d+) (%S+)$')
    if asked ~= fingerprint then return { 'refused', 'idempotency_mismatch', -1 } end
    return { result, tonumber(checks_left), kept_id, '' }
  end
end

local now = now_ms()
local guess_keys = { unpack(KEYS, 7) }

-- An answer for which nothing is compared.
local function blind(reply)
  if silent == '' then return reply end
  local guess = ask_guesses(guess_keys, now)
  if guess.refusal then return guess.refusal end
  count_guess_of_asker(guess)
  return reply
end

if redis.call('EXISTS', key) == 0 then return blind({ 'refused', 'unknown_verification', -1 }) end
local status = status_at(key, agenda, id, now)
if status == 'approved' then return blind(remember('already_used', 0)) end
if status ~= 'pending' then return blind(remember(status, 0)) end

local in_a_row = redis.call('GET', row_key)
local disabled = disabled_refusal(in_a_row)
if disabled and silent == '' then return disabled end
local refusal = window_refusal(wrong_key, policy.wrong_check_limits, 'check_limit', now)
if refusal then return silent == '' and refusal or blind({ 'wrong', 0, id, refusal[4] .. '=block' }) end
local code_mac, held, own_wrong, context_tag =
  unpack(redis.call('HMGET', key, 'code_mac', 'held', 'wrong', 'context_tag'))
local is_test = held == 'test_number'
local is_payment = context_tag and not is_test
refusal = is_payment and payment_refusal(payment_key)
if refusal then return refusal end
local guess = ask_guesses(guess_keys, now)
if guess.refusal then return guess.refusal end

if not disabled and is_own_mac(code_mac) then
  if in_a_row then redis.call('DEL', row_key) end
  if is_payment then redis.call('DEL', payment_key) end
  local wrong = math.max(tonumber(in_a_row or 0), tonumber(own_wrong or 0))
  end_verification(key, agenda, id, 'approved', 'canceled', now, wrong)
  return remember('approved', 0, explain_guess(guess))
end

count_guess(guess)
if not is_test then window_add(wrong_key, policy.wrong_check_limits, now) end
if not is_test and add_in_a_row(row_key) then
  guess.explain[#guess.explain + 1] = 'number_wrong_in_a_row=block'
  tell_disabled(key, policy.wrong_in_a_row_max, now)
end
local checks_left = checks_max_of(context_tag) - redis.call('HINCRBY', key, 'wrong', 1)
if is_payment then checks_left = math.min(checks_left, add_wrong_payment(payment_key)) end
if checks_left <= 0 then end_verification(key, agenda, id, 'exhausted', 'canceled', now) end
return remember('wrong', checks_left, explain_guess(guess))
