"""A client of StreamAlerts that shares nothing with ours: grpcio, and what protoc made of proto/.

Run as: stream_client.py FOLDER_OF_THE_GENERATED_CODE ADDRESS USER_ID CHANGES [RESUME_TOKEN]

Prints each response as a line of JSON, and leaves the stream after so many changes.
"""

import json
import sys

generated, address, user_id, wanted, *token = sys.argv[1:]
sys.path.insert(0, generated)

import grpc
from ssom.alert.v1 import alert_stream_service_pb2 as messages
from ssom.alert.v1 import alert_stream_service_pb2_grpc as services

request = messages.StreamAlertsRequest(start=messages.STREAM_START_BEGINNING)
if token:
    request.resume_token = token[0]
with grpc.insecure_channel(address) as channel:
    stub = services.AlertStreamServiceStub(channel)
    call = stub.StreamAlerts(request, metadata=[("x-user-id", user_id)], timeout=60)
    seen = 0
    try:
        for response in call:
            changes = [
                {
                    "type": messages.InboxChangeType.Name(change.type),
                    "sequence": change.sequence,
                    "alertId": change.alert.alert_id,
                    "title": change.alert.title,
                    "isRead": change.is_read,
                }
                for change in response.changes
            ]
            line = {"changes": changes, "resumeToken": response.resume_token, "unreadCount": response.unread_count}
            print(json.dumps(line), flush=True)
            seen += len(changes)
            if seen >= int(wanted):
                call.cancel()
                break
    except grpc.RpcError as error:
        print(json.dumps({"code": error.code().name, "details": error.details()}), flush=True)
