-- Meters: how much there was in a sliding window, in one field of a hash. The window is cut into twelve buckets and the
-- oldest, part of which is still inside, counts whole: so no window whatsoever holds more than the limit, wherever it
-- begins, and room comes back at most a twelfth of the window late.
--
-- A meter is kept as `bucket total current[ bucket:amount ...]`: the number of the current bucket, the amount over the
-- window, the amount in the current bucket, and the finished buckets, oldest first.

local METER_BUCKETS = 12

local function read_meter(value, window_ms, now)
  local bucket_ms = window_ms / METER_BUCKETS
  local bucket = math.floor(now / bucket_ms)
  if not value then return { bucket = bucket, total = 0, current = 0, finished = '', bucket_ms = bucket_ms, moved = true } end
  local last, total, current, finished = string.match(value, '^(%d+) (%d+) (%d+)(.*)$')
  last, current = tonumber(last), tonumber(current)
  if bucket <= last then
    return { bucket = last, total = tonumber(total), current = current, finished = finished, bucket_ms = bucket_ms }
  end
  local kept, sum = {}, 0
  for index, amount in string.gmatch(finished .. ' ' .. last .. ':' .. current, '(%d+):(%d+)') do
    if tonumber(index) >= bucket - METER_BUCKETS and amount ~= '0' then
      kept[#kept + 1] = ' ' .. index .. ':' .. amount
      sum = sum + tonumber(amount)
    end
  end
  return { bucket = bucket, total = sum, current = 0, finished = table.concat(kept), bucket_ms = bucket_ms, moved = true }
end

-- The value a meter is kept as once `amount` is added.
local function add_to_meter(meter, amount)
  return string.format('%d %d %d%s', meter.bucket, meter.total + amount, meter.current + amount, meter.finished)
end

-- When the meter will have room for `amount` under `max`; now or earlier when it has.
local function meter_free_at(meter, amount, max)
  local left, index = meter.total, meter.bucket
  for finished, held in string.gmatch(meter.finished .. ' ' .. meter.bucket .. ':' .. meter.current, '(%d+):(%d+)') do
    if left + amount <= max then break end
    left, index = left - tonumber(held), tonumber(finished)
  end
  return (index + METER_BUCKETS + 1) * meter.bucket_ms
end

-- The different members seen in a window, newest last, as `member:second[ member:second ...]`; never more than `max`
-- are kept, which is all a limit needs to know.
local function read_distinct(value, member, window_ms, now)
  local kept, known, oldest = {}, false, now
  for seen, second in string.gmatch(value or '', '(%S+):(%d+)') do
    local time = second * 1000
    if time + window_ms > now then
      if seen == member then
        known = true
      else
        kept[#kept + 1] = seen .. ':' .. second
        oldest = math.min(oldest, time)
      end
    end
  end
  return { kept = kept, known = known, free_at = oldest + window_ms + 1000 }
end

local function add_to_distinct(distinct, member, max, now)
  local kept = distinct.kept
  kept[#kept + 1] = member .. ':' .. math.ceil(now / 1000)
  return table.concat(kept, ' ', math.max(1, #kept - max + 1))
end
