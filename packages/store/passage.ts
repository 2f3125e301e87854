/** What the gate is told about a send: whose meters it moves, what it costs, who asks. The scripts decide. */
import type { Destination, Region } from '#verification/destination.ts'
import { GUESS_SCOPES, REPLY_SCOPES, SCOPES, type Scope } from '#verification/gate.ts'
import { networkOf } from '#verification/network.ts'
import type { Policy } from '#verification/policy.ts'
import { priceOf } from '#verification/price.ts'
import type { Vault } from '#verification/vault.ts'
import { type Application, type Channel, FORM_APPLICATION } from '#verification/verification.ts'
import type { Keys } from './keys.ts'

export type Asker = {
  /** The end user's address. Without one, or where it is empty, no limit of an address applies. */
  clientIp?: string
}

/** Where a number lies. The prefix as a keyed tag: it and the last four digits would be the number. */
export type Place = { region: string; prefixTag: string; rangeDigit: string }

/** Enough to tell a few numbers of one address or range apart. */
const NUMBER_TAG_LENGTH = 6
const OVERALL = 'all'

/**
 * Where the meters are that all sends of an application share, for a script that learns only then whose send it is: the
 * application's name goes behind `application`. The region's stands in the verification's hash.
 */
export function sharedMeters(keys: Keys): Record<string, string> {
  return {
    application: keys.scope('application', ''),
    form: keys.scope('form', FORM_APPLICATION),
    form_application: FORM_APPLICATION,
    overall: keys.scope('overall', OVERALL),
  }
}

export function createPassage({ keys, policy, vault }: { keys: Keys; policy: Policy; vault: Vault }) {
  /**
   * What the limits of an address are counted under; nothing without one. For each application apart: an address is
   * what its caller says, and must not be able to shut it out elsewhere.
   */
  function clientNames(
    application: Application,
    clientIp: string | undefined,
  ): Record<'ip' | 'network', string | undefined> {
    const client = clientIp ? networkOf(clientIp) : undefined
    return {
      ip: client && vault.tagPart('ip', `${application} ${client.ip}`),
      network: client?.network && vault.tagPart('network', `${application} ${client.network}`),
    }
  }

  /** Of a prefix, a range or a region: anybody may use the form, so it shares none with who has a key. */
  function sharedName(application: Application, name: string): string {
    return application === FORM_APPLICATION ? `${application}:${name}` : name
  }

  function numberFacts(place: Place, destinationTag: string): string[] {
    return [destinationTag.slice(0, NUMBER_TAG_LENGTH), place.region, place.rangeDigit]
  }

  return {
    placeOf(destination: Destination, region: Region): Place {
      const prefixTag = vault.tagPart('prefix', destination.slice(0, -4))
      return { region, prefixTag, rangeDigit: destination.slice(-4, -3) }
    },

    /** The keys a verification's conversion is counted under, as they stand in its hash. */
    gatesOf(application: Application, { region, prefixTag }: Place): string {
      const names = { region: sharedName(application, region), prefix: sharedName(application, prefixTag) }
      return `${keys.scope('region', names.region)} ${keys.scope('prefix', names.prefix)}`
    },

    /** Back from the hash: its gates and its masked number. */
    placeIn(gates: string, masked: string): Place {
      const [region = '', prefixTag = ''] = gates.split(' ').map((key) => key.slice(key.lastIndexOf(':') + 1))
      return { region, prefixTag, rangeDigit: masked.slice(-4, -3) }
    },

    /** In the order of SCOPES. */
    scopeKeys(application: Application, place: Place, clientIp: string | undefined): string[] {
      const names: Record<Scope, string | undefined> = {
        ...clientNames(application, clientIp),
        prefix: sharedName(application, place.prefixTag),
        range: sharedName(application, place.prefixTag),
        region: sharedName(application, place.region),
        form: application === FORM_APPLICATION ? application : undefined,
        application,
        overall: OVERALL,
      }
      return SCOPES.map((scope) => keys.scope(scope, names[scope]))
    },

    /** In the order of GUESS_SCOPES. */
    guessKeys(application: Application, clientIp: string | undefined): string[] {
      const names = { ...clientNames(application, clientIp), application, overall: OVERALL }
      return GUESS_SCOPES.map((scope) => keys.scope(scope, names[scope]))
    },

    /** In the order of REPLY_SCOPES. */
    replyKeys(region: Region): string[] {
      const names = { region, overall: OVERALL }
      return REPLY_SCOPES.map((scope) => keys.scope(scope, names[scope]))
    },

    /** Short tag of the number, region, digit of its range, as gate_facts reads them. */
    numberFacts,

    /** What each send of it will cost, in millionths, and what numberFacts says. */
    factsOf(place: Place, options: { destinationTag: string; channel: Channel; segments: number }): string[] {
      const { destinationTag, channel, segments } = options
      const spend = priceOf(policy.prices, { region: place.region as Region, segments, channel })
      return [String(spend), ...numberFacts(place, destinationTag)]
    },
  }
}
