// What other code may use of this folder: tests start their own private stacks with it. Types: stack.d.mts.
export { certificateFiles, createAuthority, issueCertificate, LOCAL_NAMES } from './certificates.mjs';
export { StackError } from './errors.mjs';
export { startKafka, startKafkaCluster } from './kafka.mjs';
export { startRegistry } from './registry.mjs';
export { startJaeger } from './jaeger.mjs';
export { startCollector } from './collector.mjs';
export { issuerToken, PRINCIPALS } from './secure-kafka.mjs';
export { serviceSecrets, serviceToken } from './secure-service.mjs';
export { startPostgres } from './postgres.mjs';
export { alertTopics, createTopics, readDescription, wrongSettings } from './topics.mjs';
export { fetchJaeger, fetchKafka, fetchRegistry } from './download.mjs';
export { removeData, statusOf, stopDaemon } from './daemon.mjs';
export { freePorts } from './ports.mjs';
