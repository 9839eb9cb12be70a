import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCreateAlertRequest } from '../../services/alert-api/create-alert-request.js';
import { api } from '../../services/api/protos.js';
import type { CreateAlertRequest as ClientRequest } from '../../services/client/check-request.js';
import type { AlertKind, AlertLevel, NewAlert } from '../../services/domain/alert.js';
import type { CreateAlertRequest as WireRequest, CreateAlertRequest__Output } from '../../services/gen/types.js';
import { ROOT } from '../../services/lib/root.js';

/** What our client and the protocol take alike. */
export type CreateAlertRequest = ClientRequest & WireRequest;

let made = 0;

/** A valid request; its title is unique in this process. */
export function alertRequest(rest: CreateAlertRequest = {}): CreateAlertRequest {
  made += 1;
  return {
    kind: 'ALERT_KIND_GRAFANA',
    level: 'ALERT_LEVEL_ERROR',
    appName: 'ssok-bank-api',
    title: `alert ${made}`,
    ...rest,
  };
}

/** The request as a handler gets it: sent over the wire and decoded, with every default filled in. */
export function asReceived(request: WireRequest): CreateAlertRequest__Output {
  const { requestSerialize, requestDeserialize } = api.AlertService.service.CreateAlert;
  return requestDeserialize(requestSerialize(request));
}

/** A valid alert as the store takes it. */
export function newAlert(request: CreateAlertRequest = {}, caller = 'tests'): NewAlert {
  return readCreateAlertRequest(asReceived(alertRequest(request)), caller, undefined);
}

/** deploy/sample/alerts.jsonl as requests. */
export function sampleAlerts(): CreateAlertRequest[] {
  return readFileSync(join(ROOT, 'deploy', 'sample', 'alerts.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const fields = JSON.parse(line) as Record<string, unknown> & { kind: AlertKind; level: AlertLevel };
      return { ...fields, kind: `ALERT_KIND_${fields.kind}`, level: `ALERT_LEVEL_${fields.level}` };
    });
}
