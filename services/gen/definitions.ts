import type { INamespace } from 'protobufjs';

/** All proto files in protobufjs's own form. */
export const DEFINITIONS = {
 "nested": {
  "ssom": {
   "nested": {
    "alert": {
     "nested": {
      "v1": {
       "nested": {
        "AlertService": {
         "methods": {
          "CreateAlert": {
           "requestType": "CreateAlertRequest",
           "responseType": "CreateAlertResponse"
          },
          "BatchCreateAlerts": {
           "requestType": "BatchCreateAlertsRequest",
           "responseType": "BatchCreateAlertsResponse"
          },
          "GetAlert": {
           "requestType": "GetAlertRequest",
           "responseType": "GetAlertResponse"
          },
          "ListAlerts": {
           "requestType": "ListAlertsRequest",
           "responseType": "ListAlertsResponse"
          }
         }
        },
        "CreateAlertRequest": {
         "fields": {
          "requestId": {
           "type": "string",
           "id": 1
          },
          "kind": {
           "type": "AlertKind",
           "id": 2
          },
          "appName": {
           "type": "string",
           "id": 3
          },
          "level": {
           "type": "AlertLevel",
           "id": 4
          },
          "title": {
           "type": "string",
           "id": 5
          },
          "message": {
           "type": "string",
           "id": 6
          },
          "occurredAt": {
           "type": "google.protobuf.Timestamp",
           "id": 7
          },
          "sourceId": {
           "type": "string",
           "id": 8
          },
          "labels": {
           "keyType": "string",
           "type": "string",
           "id": 9
          },
          "recipients": {
           "type": "Recipients",
           "id": 10
          }
         }
        },
        "CreateAlertResponse": {
         "fields": {
          "alert": {
           "type": "Alert",
           "id": 1
          },
          "replayed": {
           "type": "bool",
           "id": 2
          },
          "adjustments": {
           "rule": "repeated",
           "type": "Adjustment",
           "id": 3
          },
          "unreached": {
           "rule": "repeated",
           "type": "UnreachedRecipient",
           "id": 4
          },
          "unreachedCount": {
           "type": "int32",
           "id": 5
          },
          "reachesNobody": {
           "type": "bool",
           "id": 6
          }
         }
        },
        "AdjustmentType": {
         "values": {
          "ADJUSTMENT_TYPE_UNSPECIFIED": 0,
          "ADJUSTMENT_TYPE_SHORTENED": 1,
          "ADJUSTMENT_TYPE_CLEANED": 2,
          "ADJUSTMENT_TYPE_REPLACED": 3
         }
        },
        "Adjustment": {
         "fields": {
          "field": {
           "type": "string",
           "id": 1
          },
          "type": {
           "type": "AdjustmentType",
           "id": 2
          },
          "originalLength": {
           "type": "int32",
           "id": 3
          },
          "original": {
           "type": "string",
           "id": 4
          }
         }
        },
        "BatchCreateAlertsRequest": {
         "fields": {
          "requests": {
           "rule": "repeated",
           "type": "CreateAlertRequest",
           "id": 1
          }
         }
        },
        "BatchCreateAlertsResult": {
         "oneofs": {
          "outcome": {
           "oneof": [
            "response",
            "error"
           ]
          }
         },
         "fields": {
          "response": {
           "type": "CreateAlertResponse",
           "id": 1
          },
          "error": {
           "type": "BatchItemError",
           "id": 2
          }
         }
        },
        "BatchItemError": {
         "fields": {
          "code": {
           "type": "int32",
           "id": 1
          },
          "message": {
           "type": "string",
           "id": 2
          },
          "reason": {
           "type": "string",
           "id": 3
          },
          "fieldViolations": {
           "rule": "repeated",
           "type": "FieldViolation",
           "id": 4
          },
          "retryAfterMs": {
           "type": "int64",
           "id": 5
          }
         }
        },
        "FieldViolation": {
         "fields": {
          "field": {
           "type": "string",
           "id": 1
          },
          "description": {
           "type": "string",
           "id": 2
          }
         }
        },
        "BatchCreateAlertsResponse": {
         "fields": {
          "results": {
           "rule": "repeated",
           "type": "BatchCreateAlertsResult",
           "id": 1
          }
         }
        },
        "GetAlertRequest": {
         "fields": {
          "alertId": {
           "type": "int64",
           "id": 1
          }
         }
        },
        "GetAlertResponse": {
         "fields": {
          "alert": {
           "type": "Alert",
           "id": 1
          },
          "progress": {
           "type": "AlertProgress",
           "id": 2
          }
         }
        },
        "AlertProgress": {
         "fields": {
          "publishedAt": {
           "type": "google.protobuf.Timestamp",
           "id": 1
          },
          "fannedOutAt": {
           "type": "google.protobuf.Timestamp",
           "id": 2
          },
          "recipients": {
           "type": "int32",
           "id": 3
          },
          "delivered": {
           "type": "int32",
           "id": 4
          },
          "read": {
           "type": "int32",
           "id": 5
          },
          "completedAt": {
           "type": "google.protobuf.Timestamp",
           "id": 6
          },
          "traceId": {
           "type": "string",
           "id": 7
          },
          "pushCounts": {
           "rule": "repeated",
           "type": "PushCount",
           "id": 8
          },
          "pushes": {
           "rule": "repeated",
           "type": "PushRecord",
           "id": 9
          },
          "firstDeliveredAt": {
           "type": "google.protobuf.Timestamp",
           "id": 10
          },
          "lastDeliveredAt": {
           "type": "google.protobuf.Timestamp",
           "id": 11
          },
          "lastReadAt": {
           "type": "google.protobuf.Timestamp",
           "id": 12
          },
          "firstPushSentAt": {
           "type": "google.protobuf.Timestamp",
           "id": 13
          },
          "lastPushSentAt": {
           "type": "google.protobuf.Timestamp",
           "id": 14
          },
          "missingUserIds": {
           "rule": "repeated",
           "type": "string",
           "id": 15
          },
          "deadLetters": {
           "rule": "repeated",
           "type": "DeadLetter",
           "id": 16
          },
          "deadLetterCount": {
           "type": "int32",
           "id": 17
          },
          "nextCheckAt": {
           "type": "google.protobuf.Timestamp",
           "id": 18
          },
          "checks": {
           "type": "int32",
           "id": 19
          },
          "closed": {
           "type": "bool",
           "id": 20
          },
          "unplannedPushes": {
           "type": "int32",
           "id": 21
          },
          "traceSampled": {
           "type": "bool",
           "id": 22
          },
          "deadLettered": {
           "type": "bool",
           "id": 30
          },
          "unreached": {
           "rule": "repeated",
           "type": "UnreachedRecipient",
           "id": 23
          },
          "unreachedCount": {
           "type": "int32",
           "id": 24
          }
         }
        },
        "DeadLetter": {
         "fields": {
          "name": {
           "type": "string",
           "id": 1
          },
          "userId": {
           "type": "string",
           "id": 2
          },
          "reason": {
           "type": "string",
           "id": 3
          },
          "purged": {
           "type": "bool",
           "id": 4
          },
          "waitsFor": {
           "type": "string",
           "id": 5
          }
         }
        },
        "PushState": {
         "values": {
          "PUSH_STATE_UNSPECIFIED": 0,
          "PUSH_STATE_WAITING": 1,
          "PUSH_STATE_SENDING": 2,
          "PUSH_STATE_SENT": 3,
          "PUSH_STATE_DISMISSED": 4,
          "PUSH_STATE_SKIPPED": 5,
          "PUSH_STATE_EXPIRED": 6,
          "PUSH_STATE_FAILED": 7
         }
        },
        "PushCount": {
         "fields": {
          "state": {
           "type": "PushState",
           "id": 1
          },
          "count": {
           "type": "int32",
           "id": 2
          }
         }
        },
        "PushRecord": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "deviceId": {
           "type": "int64",
           "id": 2
          },
          "state": {
           "type": "PushState",
           "id": 3
          },
          "attempts": {
           "type": "int32",
           "id": 4
          },
          "sentAt": {
           "type": "google.protobuf.Timestamp",
           "id": 5
          },
          "fcmMessageName": {
           "type": "string",
           "id": 6
          },
          "error": {
           "type": "string",
           "id": 7
          },
          "dueAt": {
           "type": "google.protobuf.Timestamp",
           "id": 8
          }
         }
        },
        "ListAlertsRequest": {
         "fields": {
          "pageSize": {
           "type": "int32",
           "id": 1
          },
          "pageToken": {
           "type": "string",
           "id": 2
          },
          "kinds": {
           "rule": "repeated",
           "type": "AlertKind",
           "id": 3
          },
          "minimumLevel": {
           "type": "AlertLevel",
           "id": 4
          },
          "appName": {
           "type": "string",
           "id": 5
          }
         }
        },
        "ListAlertsResponse": {
         "fields": {
          "alerts": {
           "rule": "repeated",
           "type": "Alert",
           "id": 1
          },
          "nextPageToken": {
           "type": "string",
           "id": 2
          }
         }
        },
        "AlertKind": {
         "values": {
          "ALERT_KIND_UNSPECIFIED": 0,
          "ALERT_KIND_OPENSEARCH": 1,
          "ALERT_KIND_GRAFANA": 2,
          "ALERT_KIND_ISSUE": 3,
          "ALERT_KIND_JENKINS": 4,
          "ALERT_KIND_ARGOCD": 5,
          "ALERT_KIND_DEPLOYMENT": 6,
          "ALERT_KIND_OTHER": 7
         }
        },
        "AlertLevel": {
         "values": {
          "ALERT_LEVEL_UNSPECIFIED": 0,
          "ALERT_LEVEL_INFO": 1,
          "ALERT_LEVEL_WARNING": 2,
          "ALERT_LEVEL_ERROR": 3,
          "ALERT_LEVEL_CRITICAL": 4
         }
        },
        "Alert": {
         "fields": {
          "alertId": {
           "type": "int64",
           "id": 1
          },
          "kind": {
           "type": "AlertKind",
           "id": 2
          },
          "appName": {
           "type": "string",
           "id": 3
          },
          "level": {
           "type": "AlertLevel",
           "id": 4
          },
          "title": {
           "type": "string",
           "id": 5
          },
          "message": {
           "type": "string",
           "id": 6
          },
          "occurredAt": {
           "type": "google.protobuf.Timestamp",
           "id": 7
          },
          "createdAt": {
           "type": "google.protobuf.Timestamp",
           "id": 8
          },
          "sourceId": {
           "type": "string",
           "id": 9
          },
          "labels": {
           "keyType": "string",
           "type": "string",
           "id": 10
          }
         }
        },
        "Recipients": {
         "fields": {
          "userIds": {
           "rule": "repeated",
           "type": "string",
           "id": 1
          },
          "departments": {
           "rule": "repeated",
           "type": "string",
           "id": 2
          },
          "githubLogins": {
           "rule": "repeated",
           "type": "string",
           "id": 3
          }
         }
        },
        "RecipientList": {
         "values": {
          "RECIPIENT_LIST_UNSPECIFIED": 0,
          "RECIPIENT_LIST_USER_IDS": 1,
          "RECIPIENT_LIST_DEPARTMENTS": 2,
          "RECIPIENT_LIST_GITHUB_LOGINS": 3,
          "RECIPIENT_LIST_ROUTING_RULES": 4
         }
        },
        "UnreachedReason": {
         "values": {
          "UNREACHED_REASON_UNSPECIFIED": 0,
          "UNREACHED_REASON_UNKNOWN": 1,
          "UNREACHED_REASON_INACTIVE": 2,
          "UNREACHED_REASON_NO_ACTIVE_USER": 3
         }
        },
        "UnreachedRecipient": {
         "fields": {
          "list": {
           "type": "RecipientList",
           "id": 1
          },
          "name": {
           "type": "string",
           "id": 2
          },
          "reason": {
           "type": "UnreachedReason",
           "id": 3
          }
         }
        },
        "InboxService": {
         "methods": {
          "ListInbox": {
           "requestType": "ListInboxRequest",
           "responseType": "ListInboxResponse"
          },
          "MarkRead": {
           "requestType": "MarkReadRequest",
           "responseType": "MarkReadResponse"
          },
          "MarkUnread": {
           "requestType": "MarkUnreadRequest",
           "responseType": "MarkUnreadResponse"
          },
          "MarkAllRead": {
           "requestType": "MarkAllReadRequest",
           "responseType": "MarkAllReadResponse"
          },
          "DeleteFromInbox": {
           "requestType": "DeleteFromInboxRequest",
           "responseType": "DeleteFromInboxResponse"
          },
          "GetUnreadCount": {
           "requestType": "GetUnreadCountRequest",
           "responseType": "GetUnreadCountResponse"
          }
         }
        },
        "InboxEntry": {
         "fields": {
          "alert": {
           "type": "Alert",
           "id": 1
          },
          "isRead": {
           "type": "bool",
           "id": 2
          },
          "readAt": {
           "type": "google.protobuf.Timestamp",
           "id": 3
          },
          "sequence": {
           "type": "int64",
           "id": 4
          },
          "deliveredAt": {
           "type": "google.protobuf.Timestamp",
           "id": 5
          }
         }
        },
        "ListInboxRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "pageSize": {
           "type": "int32",
           "id": 2
          },
          "pageToken": {
           "type": "string",
           "id": 3
          },
          "unreadOnly": {
           "type": "bool",
           "id": 4
          },
          "kinds": {
           "rule": "repeated",
           "type": "AlertKind",
           "id": 5
          },
          "minimumLevel": {
           "type": "AlertLevel",
           "id": 6
          }
         }
        },
        "ListInboxResponse": {
         "fields": {
          "entries": {
           "rule": "repeated",
           "type": "InboxEntry",
           "id": 1
          },
          "nextPageToken": {
           "type": "string",
           "id": 2
          },
          "unreadCount": {
           "type": "int32",
           "id": 3
          }
         }
        },
        "MarkReadRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "alertIds": {
           "rule": "repeated",
           "type": "int64",
           "id": 2
          }
         }
        },
        "MarkReadResponse": {
         "fields": {
          "changed": {
           "type": "int32",
           "id": 1
          },
          "unreadCount": {
           "type": "int32",
           "id": 2
          }
         }
        },
        "MarkUnreadRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "alertIds": {
           "rule": "repeated",
           "type": "int64",
           "id": 2
          }
         }
        },
        "MarkUnreadResponse": {
         "fields": {
          "changed": {
           "type": "int32",
           "id": 1
          },
          "unreadCount": {
           "type": "int32",
           "id": 2
          }
         }
        },
        "MarkAllReadRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          }
         }
        },
        "MarkAllReadResponse": {
         "fields": {
          "changed": {
           "type": "int32",
           "id": 1
          },
          "unreadCount": {
           "type": "int32",
           "id": 2
          }
         }
        },
        "DeleteFromInboxRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "alertIds": {
           "rule": "repeated",
           "type": "int64",
           "id": 2
          }
         }
        },
        "DeleteFromInboxResponse": {
         "fields": {
          "changed": {
           "type": "int32",
           "id": 1
          },
          "unreadCount": {
           "type": "int32",
           "id": 2
          }
         }
        },
        "GetUnreadCountRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          }
         }
        },
        "GetUnreadCountResponse": {
         "fields": {
          "unreadCount": {
           "type": "int32",
           "id": 1
          }
         }
        },
        "DeviceService": {
         "methods": {
          "RegisterDevice": {
           "requestType": "RegisterDeviceRequest",
           "responseType": "RegisterDeviceResponse"
          },
          "UnregisterDevice": {
           "requestType": "UnregisterDeviceRequest",
           "responseType": "UnregisterDeviceResponse"
          },
          "ListDevices": {
           "requestType": "ListDevicesRequest",
           "responseType": "ListDevicesResponse"
          }
         }
        },
        "DevicePlatform": {
         "values": {
          "DEVICE_PLATFORM_UNSPECIFIED": 0,
          "DEVICE_PLATFORM_ANDROID": 1,
          "DEVICE_PLATFORM_IOS": 2,
          "DEVICE_PLATFORM_WEB": 3
         }
        },
        "Device": {
         "fields": {
          "deviceId": {
           "type": "int64",
           "id": 1
          },
          "platform": {
           "type": "DevicePlatform",
           "id": 2
          },
          "tokenEnding": {
           "type": "string",
           "id": 3
          },
          "appVersion": {
           "type": "string",
           "id": 4
          },
          "locale": {
           "type": "string",
           "id": 5
          },
          "registeredAt": {
           "type": "google.protobuf.Timestamp",
           "id": 6
          },
          "refreshedAt": {
           "type": "google.protobuf.Timestamp",
           "id": 7
          }
         }
        },
        "RegisterDeviceRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "platform": {
           "type": "DevicePlatform",
           "id": 2
          },
          "token": {
           "type": "string",
           "id": 3
          },
          "appVersion": {
           "type": "string",
           "id": 4
          },
          "locale": {
           "type": "string",
           "id": 5
          }
         }
        },
        "RegisterDeviceResponse": {
         "fields": {
          "device": {
           "type": "Device",
           "id": 1
          }
         }
        },
        "UnregisterDeviceRequest": {
         "oneofs": {
          "device": {
           "oneof": [
            "deviceId",
            "token"
           ]
          }
         },
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "deviceId": {
           "type": "int64",
           "id": 2
          },
          "token": {
           "type": "string",
           "id": 3
          }
         }
        },
        "UnregisterDeviceResponse": {
         "fields": {}
        },
        "ListDevicesRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          }
         }
        },
        "ListDevicesResponse": {
         "fields": {
          "devices": {
           "rule": "repeated",
           "type": "Device",
           "id": 1
          }
         }
        },
        "DirectoryService": {
         "methods": {
          "UpsertUsers": {
           "requestType": "UpsertUsersRequest",
           "responseType": "UpsertUsersResponse"
          },
          "ListUsers": {
           "requestType": "ListUsersRequest",
           "responseType": "ListUsersResponse"
          },
          "SetRoutingRules": {
           "requestType": "SetRoutingRulesRequest",
           "responseType": "SetRoutingRulesResponse"
          },
          "GetRoutingRules": {
           "requestType": "GetRoutingRulesRequest",
           "responseType": "GetRoutingRulesResponse"
          }
         }
        },
        "User": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "displayName": {
           "type": "string",
           "id": 2
          },
          "department": {
           "type": "string",
           "id": 3
          },
          "githubLogin": {
           "type": "string",
           "id": 4
          },
          "active": {
           "type": "bool",
           "id": 5
          }
         }
        },
        "UpsertUsersRequest": {
         "fields": {
          "users": {
           "rule": "repeated",
           "type": "User",
           "id": 1
          }
         }
        },
        "UpsertUsersResponse": {
         "fields": {
          "directoryVersion": {
           "type": "int64",
           "id": 1
          },
          "warnings": {
           "rule": "repeated",
           "type": "DirectoryWarning",
           "id": 2
          }
         }
        },
        "DirectoryWarningType": {
         "values": {
          "DIRECTORY_WARNING_TYPE_UNSPECIFIED": 0,
          "DIRECTORY_WARNING_TYPE_RULE_WITHOUT_USERS": 1,
          "DIRECTORY_WARNING_TYPE_RULE_WITHOUT_ACTIVE_USER": 2,
          "DIRECTORY_WARNING_TYPE_DEPARTMENT_WITHOUT_ACTIVE_USER": 3
         }
        },
        "DirectoryWarning": {
         "fields": {
          "type": {
           "type": "DirectoryWarningType",
           "id": 1
          },
          "department": {
           "type": "string",
           "id": 2
          }
         }
        },
        "ListUsersRequest": {
         "fields": {
          "pageSize": {
           "type": "int32",
           "id": 1
          },
          "pageToken": {
           "type": "string",
           "id": 2
          },
          "department": {
           "type": "string",
           "id": 3
          }
         }
        },
        "ListUsersResponse": {
         "fields": {
          "users": {
           "rule": "repeated",
           "type": "User",
           "id": 1
          },
          "nextPageToken": {
           "type": "string",
           "id": 2
          }
         }
        },
        "RoutingMatch": {
         "values": {
          "ROUTING_MATCH_UNSPECIFIED": 0,
          "ROUTING_MATCH_ALL": 1,
          "ROUTING_MATCH_APP_CONTAINS": 2,
          "ROUTING_MATCH_APP_NOT_CONTAINS": 3
         }
        },
        "RoutingRule": {
         "fields": {
          "department": {
           "type": "string",
           "id": 1
          },
          "match": {
           "type": "RoutingMatch",
           "id": 2
          },
          "appPattern": {
           "type": "string",
           "id": 3
          }
         }
        },
        "SetRoutingRulesRequest": {
         "fields": {
          "rules": {
           "rule": "repeated",
           "type": "RoutingRule",
           "id": 1
          }
         }
        },
        "SetRoutingRulesResponse": {
         "fields": {
          "directoryVersion": {
           "type": "int64",
           "id": 1
          },
          "warnings": {
           "rule": "repeated",
           "type": "DirectoryWarning",
           "id": 2
          }
         }
        },
        "GetRoutingRulesRequest": {
         "fields": {}
        },
        "GetRoutingRulesResponse": {
         "fields": {
          "rules": {
           "rule": "repeated",
           "type": "RoutingRule",
           "id": 1
          },
          "directoryVersion": {
           "type": "int64",
           "id": 2
          }
         }
        },
        "AlertStreamService": {
         "methods": {
          "StreamAlerts": {
           "requestType": "StreamAlertsRequest",
           "responseType": "StreamAlertsResponse",
           "responseStream": true
          }
         }
        },
        "StreamStart": {
         "values": {
          "STREAM_START_UNSPECIFIED": 0,
          "STREAM_START_NOW": 1,
          "STREAM_START_BEGINNING": 2
         }
        },
        "StreamAlertsRequest": {
         "fields": {
          "userId": {
           "type": "string",
           "id": 1
          },
          "resumeToken": {
           "type": "string",
           "id": 2
          },
          "start": {
           "type": "StreamStart",
           "id": 3
          },
          "filter": {
           "type": "StreamFilter",
           "id": 4
          },
          "checkpointInterval": {
           "type": "google.protobuf.Duration",
           "id": 5
          }
         }
        },
        "StreamFilter": {
         "fields": {
          "kinds": {
           "rule": "repeated",
           "type": "AlertKind",
           "id": 1
          },
          "minimumLevel": {
           "type": "AlertLevel",
           "id": 2
          },
          "unreadOnly": {
           "type": "bool",
           "id": 3
          }
         }
        },
        "StreamAlertsResponse": {
         "fields": {
          "changes": {
           "rule": "repeated",
           "type": "InboxChange",
           "id": 1
          },
          "resumeToken": {
           "type": "string",
           "id": 2
          },
          "unreadCount": {
           "type": "int32",
           "id": 3
          },
          "behind": {
           "type": "int64",
           "id": 4
          }
         }
        },
        "InboxChangeType": {
         "values": {
          "INBOX_CHANGE_TYPE_UNSPECIFIED": 0,
          "INBOX_CHANGE_TYPE_CREATED": 1,
          "INBOX_CHANGE_TYPE_READ": 2,
          "INBOX_CHANGE_TYPE_UNREAD": 3,
          "INBOX_CHANGE_TYPE_DELETED": 4
         }
        },
        "InboxChange": {
         "fields": {
          "type": {
           "type": "InboxChangeType",
           "id": 1
          },
          "sequence": {
           "type": "int64",
           "id": 2
          },
          "alert": {
           "type": "Alert",
           "id": 3
          },
          "isRead": {
           "type": "bool",
           "id": 4
          }
         }
        }
       }
      }
     }
    }
   }
  },
  "google": {
   "nested": {
    "protobuf": {
     "nested": {
      "Timestamp": {
       "fields": {
        "seconds": {
         "type": "int64",
         "id": 1
        },
        "nanos": {
         "type": "int32",
         "id": 2
        }
       }
      },
      "Duration": {
       "fields": {
        "seconds": {
         "type": "int64",
         "id": 1
        },
        "nanos": {
         "type": "int32",
         "id": 2
        }
       }
      }
     }
    }
   }
  }
 }
} as object as INamespace;
