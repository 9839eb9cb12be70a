import { LRUCache } from 'lru-cache';
import type { Directory, ResolvedRecipients, StaffedRules } from '../domain/routing.js';
import type { Database } from '../lib/postgres.js';
import { findRoutableAlerts, namedRecipients } from './alerts.js';
import { loadDirectory, loadStaffedRules } from './directory.js';

/**
 * Versions kept: the present one, and those that alerts in flight were stored under. 100,000 users take about 10 MB
 * each.
 */
const VERSIONS_MAX = 8;

/** Rules are small, and only those of the versions at which alerts are being created are asked for. */
const RULES_MAX = 8;

/**
 * The routing rules by version, with what it takes to see that an alert reaches nobody; without the users themselves.
 */
export class StaffedRulesCache {
  readonly #versions = new LRUCache<number, StaffedRules | Promise<StaffedRules>>({ max: RULES_MAX });

  constructor(private readonly database: Database) {}

  /** At once, where they were read before: every alert that is created asks. */
  at(version: number): StaffedRules | Promise<StaffedRules> {
    const known = this.#versions.get(version);
    if (known !== undefined) return known;
    const reading = loadStaffedRules(this.database, version);
    this.#versions.set(version, reading);
    reading.then(
      (rules) => this.#versions.set(version, rules),
      () => this.#versions.delete(version),
    );
    return reading;
  }
}

/** What is needed to find an alert's recipients. */
export interface Routable {
  readonly alertId: number;
  readonly appName: string;
  /** 0: not known; the alert is looked up. */
  readonly directoryVersion: number;
  readonly recipientsNamed: boolean;
  /** Null: not known here; they are looked up if somebody was named. */
  readonly namedRecipients: ResolvedRecipients | null;
}

/** Finds recipients: the one place where the directory, the rules and the named lists come together. */
export class RecipientResolver {
  readonly #versions = new LRUCache<number, Promise<Directory>>({ max: VERSIONS_MAX });

  #hits = 0;
  #misses = 0;

  constructor(private readonly database: Database) {}

  /** How often a version was looked up, and was in memory or not. */
  get lookups(): { hits: number; misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  /** Versions in memory. */
  get size(): number {
    return this.#versions.size;
  }

  /** Forgets what is in memory: the database is another one now. */
  clear(): void {
    this.#versions.clear();
  }

  /** One version of the directory. Versions never change, so they are read once. */
  at(version: number, database = this.database): Promise<Directory> {
    let directory = this.#versions.get(version);
    if (directory !== undefined) this.#hits += 1;
    else {
      this.#misses += 1;
      directory = loadDirectory(database, version);
      this.#versions.set(version, directory);
      directory.catch(() => this.#versions.delete(version));
    }
    return directory;
  }

  /**
   * The recipients of alerts, each as of the version at which it was stored. At most one query for who was named.
   * @param database the same one, where its statements are observed
   */
  async resolve(alerts: readonly Routable[], database = this.database): Promise<Map<number, readonly string[]>> {
    const unknown = alerts.filter(({ recipientsNamed, namedRecipients: known }) => recipientsNamed && known === null);
    const found =
      unknown.length === 0
        ? new Map<number, ResolvedRecipients>()
        : await namedRecipients(
            database,
            unknown.map(({ alertId }) => alertId),
          );
    const recipients = new Map<number, readonly string[]>();
    for (const { alertId, appName, directoryVersion, recipientsNamed, namedRecipients: known } of alerts) {
      const list = recipientsNamed ? (known ?? found.get(alertId)) : undefined;
      // An alert that PostgreSQL does not have is left out, rather than taken for one without recipients.
      if (recipientsNamed && list === undefined) continue;
      const needsDirectory = list === undefined || list.departments.length > 0;
      recipients.set(
        alertId,
        needsDirectory
          ? (await this.at(directoryVersion, database)).recipientsOf({ appName, named: list })
          : list.userIds,
      );
    }
    return recipients;
  }

  /**
   * The recipients of alerts of which only the ids are known; ids that do not exist are left out.
   * @param database the same one, where its statements are observed
   */
  async recipientsOf(alertIds: readonly number[], database = this.database): Promise<Map<number, readonly string[]>> {
    const alerts = await findRoutableAlerts(database, alertIds);
    return this.resolve(
      alerts.map(({ alert, directoryVersion: version, recipientsNamed }) => ({
        alertId: alert.alertId,
        appName: alert.appName,
        directoryVersion: version,
        recipientsNamed,
        namedRecipients: null,
      })),
      database,
    );
  }
}
