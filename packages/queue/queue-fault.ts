/**
 * What is asked of BullMQ, with an end to it: BullMQ waits for its connection, and for an answer of Redis, for ever. And
 * what Redis does wrong, as one kind of fault.
 */
import type { Redis } from 'ioredis'

/** The queue did not do what was asked: Redis is away, too slow, or refusing. It may have happened or not. */
export class QueueFault extends Error {
  override name = 'QueueFault'
}

const ANSWER_MS = 5_000

/** @param connection the queue's own */
export async function inTime<T>(connection: Redis, work: () => Promise<T>, answerMs = ANSWER_MS): Promise<T> {
  if (connection.status !== 'ready') throw new QueueFault('The queue is not connected')
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new QueueFault('The queue did not answer in time')), answerMs)
  try {
    return await Promise.race([work(), late])
  } catch (error) {
    throw faultOf(error, connection)
  } finally {
    clearTimeout(timer)
  }
}

/** Refusals of Redis (OOM, READONLY, NOREPLICAS, MISCONF, ...), and a connection that went meanwhile; not our mistakes. */
function faultOf(error: unknown, connection: Redis): unknown {
  if (!(error instanceof Error) || error instanceof QueueFault) return error
  const refused = error.name === 'ReplyError' && !/^(ERR|WRONGTYPE) /.test(error.message)
  if (!refused && connection.status === 'ready') return error
  return new QueueFault('The queue did not do what was asked', { cause: error })
}
