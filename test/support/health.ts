import grpc from '@grpc/grpc-js';
import { service as healthService } from 'grpc-health-check';
import { patience } from './until-true.js';

/** What grpc.health.v1 says; UNREACHABLE while nobody listens. */
export async function health(address: string, service: string): Promise<string> {
  const { path, requestSerialize, responseDeserialize } = healthService['Check']!;
  const client = new grpc.Client(address, grpc.credentials.createInsecure());
  try {
    return await new Promise<string>((resolve) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { service },
        { deadline: Date.now() + patience(3000) },
        (error, response) =>
          resolve(error === null ? (response as unknown as { status: string }).status : 'UNREACHABLE'),
      );
    });
  } finally {
    client.close();
  }
}
