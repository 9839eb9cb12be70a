import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.js';
import type { Device as _ssom_alert_v1_Device, Device__Output as _ssom_alert_v1_Device__Output } from './ssom/alert/v1/Device.js';
import type { DeviceServiceClient as _ssom_alert_v1_DeviceServiceClient, DeviceServiceDefinition as _ssom_alert_v1_DeviceServiceDefinition } from './ssom/alert/v1/DeviceService.js';
import type { ListDevicesRequest as _ssom_alert_v1_ListDevicesRequest, ListDevicesRequest__Output as _ssom_alert_v1_ListDevicesRequest__Output } from './ssom/alert/v1/ListDevicesRequest.js';
import type { ListDevicesResponse as _ssom_alert_v1_ListDevicesResponse, ListDevicesResponse__Output as _ssom_alert_v1_ListDevicesResponse__Output } from './ssom/alert/v1/ListDevicesResponse.js';
import type { RegisterDeviceRequest as _ssom_alert_v1_RegisterDeviceRequest, RegisterDeviceRequest__Output as _ssom_alert_v1_RegisterDeviceRequest__Output } from './ssom/alert/v1/RegisterDeviceRequest.js';
import type { RegisterDeviceResponse as _ssom_alert_v1_RegisterDeviceResponse, RegisterDeviceResponse__Output as _ssom_alert_v1_RegisterDeviceResponse__Output } from './ssom/alert/v1/RegisterDeviceResponse.js';
import type { UnregisterDeviceRequest as _ssom_alert_v1_UnregisterDeviceRequest, UnregisterDeviceRequest__Output as _ssom_alert_v1_UnregisterDeviceRequest__Output } from './ssom/alert/v1/UnregisterDeviceRequest.js';
import type { UnregisterDeviceResponse as _ssom_alert_v1_UnregisterDeviceResponse, UnregisterDeviceResponse__Output as _ssom_alert_v1_UnregisterDeviceResponse__Output } from './ssom/alert/v1/UnregisterDeviceResponse.js';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  ssom: {
    alert: {
      v1: {
        Device: MessageTypeDefinition<_ssom_alert_v1_Device, _ssom_alert_v1_Device__Output>
        DevicePlatform: EnumTypeDefinition
        /**
         * The devices that a user's alerts are pushed to, by FCM. Every method is about the calling user's own devices, unless
         * user_id names another one, which needs the scope admin.
         */
        DeviceService: SubtypeConstructor<typeof grpc.Client, _ssom_alert_v1_DeviceServiceClient> & { service: _ssom_alert_v1_DeviceServiceDefinition }
        ListDevicesRequest: MessageTypeDefinition<_ssom_alert_v1_ListDevicesRequest, _ssom_alert_v1_ListDevicesRequest__Output>
        ListDevicesResponse: MessageTypeDefinition<_ssom_alert_v1_ListDevicesResponse, _ssom_alert_v1_ListDevicesResponse__Output>
        RegisterDeviceRequest: MessageTypeDefinition<_ssom_alert_v1_RegisterDeviceRequest, _ssom_alert_v1_RegisterDeviceRequest__Output>
        RegisterDeviceResponse: MessageTypeDefinition<_ssom_alert_v1_RegisterDeviceResponse, _ssom_alert_v1_RegisterDeviceResponse__Output>
        UnregisterDeviceRequest: MessageTypeDefinition<_ssom_alert_v1_UnregisterDeviceRequest, _ssom_alert_v1_UnregisterDeviceRequest__Output>
        UnregisterDeviceResponse: MessageTypeDefinition<_ssom_alert_v1_UnregisterDeviceResponse, _ssom_alert_v1_UnregisterDeviceResponse__Output>
      }
    }
  }
}

