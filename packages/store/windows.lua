-- Sliding windows of a number: a string of times, newest first and parted by commas (`time` or `time id`), and limits
-- {{name, max, window_ms}, ...}. The max-th newest time says exactly when there is room again, so no window can be
-- doubled across an edge. Times are ms in hexadecimal: one with its id is just short enough for Redis to keep it in one
-- piece. Beside them the count of wrong codes in a row, which no time resets.

local function kept_times(kept)
  local times = {}
  for time in string.gmatch(kept or '', '(%x+)[^,]*') do times[#times + 1] = tonumber(time, 16) end
  return times
end

-- nil when every limit has room, else the refusal with the time until all of them have, and the limit that says no.
local function window_refusal(key, limits, code, now)
  local times = kept_times(redis.call('GET', key))
  local retry_at, named = now, nil
  for _, limit in ipairs(limits) do
    local free_at = times[limit.max] and times[limit.max] + limit.window_ms
    if free_at and free_at > retry_at then retry_at, named = free_at, limit.name end
  end
  return named and { 'refused', code, retry_at - now, named }
end

-- `id`: the verification it was for, where that must be found again.
local function window_add(key, limits, now, id)
  local max, window_ms = 0, 0
  for _, limit in ipairs(limits) do
    max = math.max(max, limit.max)
    window_ms = math.max(window_ms, limit.window_ms)
  end
  if max == 0 then return end
  local time = string.format('%x', now)
  local entries = { id and time .. ' ' .. id or time }
  for entry in string.gmatch(redis.call('GET', key) or '', '[^,]+') do
    if #entries < max then entries[#entries + 1] = entry end
  end
  redis.call('SET', key, table.concat(entries, ','), 'PX', window_ms)
end

-- The verifications a window names, newest first.
local function window_ids(key)
  local ids = {}
  for id in string.gmatch(redis.call('GET', key) or '', ' ([^,]+)') do ids[#ids + 1] = id end
  return ids
end

-- nil, or the refusal of a number that was tried too often in a row: waiting changes nothing.
local function disabled_refusal(in_a_row)
  if tonumber(in_a_row or 0) < policy.wrong_in_a_row_max then return nil end
  return { 'refused', 'number_disabled', -1, 'number_wrong_in_a_row' }
end

-- Counts one more; answers whether it disabled the number.
local function add_in_a_row(key)
  local count = redis.call('INCR', key)
  redis.call('PEXPIRE', key, policy.wrong_in_a_row_ttl_ms)
  return count == policy.wrong_in_a_row_max
end

-- Wrong codes a verification takes. A payment takes no more than its number does; '' or nil: it is for none.
local function checks_max_of(context_tag)
  if not context_tag or context_tag == '' then return policy.checks_max end
  return math.min(policy.checks_max, policy.payment_wrong_max)
end

-- nil, or the refusal of a number that had too many wrong codes for payments in a row.
local function payment_refusal(key)
  if tonumber(redis.call('GET', key) or 0) < policy.payment_wrong_max then return nil end
  return { 'refused', 'payment_blocked', redis.call('PTTL', key), 'number_wrong_payment' }
end

-- Counts one more; answers how many are left before the number's payments are refused.
local function add_wrong_payment(key)
  local left = policy.payment_wrong_max - redis.call('INCR', key)
  redis.call('PEXPIRE', key, left > 0 and policy.payment_period_ms or policy.payment_block_ms)
  return left
end
