// Original file: proto/ssom/alert/v1/device_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ListDevicesRequest as _ssom_alert_v1_ListDevicesRequest, ListDevicesRequest__Output as _ssom_alert_v1_ListDevicesRequest__Output } from '../../../ssom/alert/v1/ListDevicesRequest.js';
import type { ListDevicesResponse as _ssom_alert_v1_ListDevicesResponse, ListDevicesResponse__Output as _ssom_alert_v1_ListDevicesResponse__Output } from '../../../ssom/alert/v1/ListDevicesResponse.js';
import type { RegisterDeviceRequest as _ssom_alert_v1_RegisterDeviceRequest, RegisterDeviceRequest__Output as _ssom_alert_v1_RegisterDeviceRequest__Output } from '../../../ssom/alert/v1/RegisterDeviceRequest.js';
import type { RegisterDeviceResponse as _ssom_alert_v1_RegisterDeviceResponse, RegisterDeviceResponse__Output as _ssom_alert_v1_RegisterDeviceResponse__Output } from '../../../ssom/alert/v1/RegisterDeviceResponse.js';
import type { UnregisterDeviceRequest as _ssom_alert_v1_UnregisterDeviceRequest, UnregisterDeviceRequest__Output as _ssom_alert_v1_UnregisterDeviceRequest__Output } from '../../../ssom/alert/v1/UnregisterDeviceRequest.js';
import type { UnregisterDeviceResponse as _ssom_alert_v1_UnregisterDeviceResponse, UnregisterDeviceResponse__Output as _ssom_alert_v1_UnregisterDeviceResponse__Output } from '../../../ssom/alert/v1/UnregisterDeviceResponse.js';

/**
 * The devices that a user's alerts are pushed to, by FCM. Every method is about the calling user's own devices, unless
 * user_id names another one, which needs the scope admin.
 */
export interface DeviceServiceClient extends grpc.Client {
  /**
   * The devices, the one renewed last first.
   */
  ListDevices(argument: _ssom_alert_v1_ListDevicesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _ssom_alert_v1_ListDevicesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _ssom_alert_v1_ListDevicesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  ListDevices(argument: _ssom_alert_v1_ListDevicesRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The devices, the one renewed last first.
   */
  listDevices(argument: _ssom_alert_v1_ListDevicesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _ssom_alert_v1_ListDevicesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _ssom_alert_v1_ListDevicesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  listDevices(argument: _ssom_alert_v1_ListDevicesRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListDevicesResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Adds a device, or renews it: to be called at every start of the app, and when its token changes. A token that another
   * user had registered leaves that user. Doing it again changes nothing but refreshed_at. A user may have 2,000 devices;
   * beyond that the one that was renewed longest ago goes.
   */
  RegisterDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  RegisterDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  RegisterDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  RegisterDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Adds a device, or renews it: to be called at every start of the app, and when its token changes. A token that another
   * user had registered leaves that user. Doing it again changes nothing but refreshed_at. A user may have 2,000 devices;
   * beyond that the one that was renewed longest ago goes.
   */
  registerDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  registerDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  registerDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  registerDevice(argument: _ssom_alert_v1_RegisterDeviceRequest, callback: grpc.requestCallback<_ssom_alert_v1_RegisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Removes a device: nothing is pushed to it any more. NOT_FOUND (DEVICE_NOT_FOUND) if the user has none such.
   */
  UnregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  UnregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  UnregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  UnregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Removes a device: nothing is pushed to it any more. NOT_FOUND (DEVICE_NOT_FOUND) if the user has none such.
   */
  unregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  unregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  unregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  unregisterDevice(argument: _ssom_alert_v1_UnregisterDeviceRequest, callback: grpc.requestCallback<_ssom_alert_v1_UnregisterDeviceResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * The devices that a user's alerts are pushed to, by FCM. Every method is about the calling user's own devices, unless
 * user_id names another one, which needs the scope admin.
 */
export interface DeviceServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * The devices, the one renewed last first.
   */
  ListDevices: grpc.handleUnaryCall<_ssom_alert_v1_ListDevicesRequest__Output, _ssom_alert_v1_ListDevicesResponse>;
  
  /**
   * Adds a device, or renews it: to be called at every start of the app, and when its token changes. A token that another
   * user had registered leaves that user. Doing it again changes nothing but refreshed_at. A user may have 2,000 devices;
   * beyond that the one that was renewed longest ago goes.
   */
  RegisterDevice: grpc.handleUnaryCall<_ssom_alert_v1_RegisterDeviceRequest__Output, _ssom_alert_v1_RegisterDeviceResponse>;
  
  /**
   * Removes a device: nothing is pushed to it any more. NOT_FOUND (DEVICE_NOT_FOUND) if the user has none such.
   */
  UnregisterDevice: grpc.handleUnaryCall<_ssom_alert_v1_UnregisterDeviceRequest__Output, _ssom_alert_v1_UnregisterDeviceResponse>;
  
}

export interface DeviceServiceDefinition extends grpc.ServiceDefinition {
  ListDevices: MethodDefinition<_ssom_alert_v1_ListDevicesRequest, _ssom_alert_v1_ListDevicesResponse, _ssom_alert_v1_ListDevicesRequest__Output, _ssom_alert_v1_ListDevicesResponse__Output>
  RegisterDevice: MethodDefinition<_ssom_alert_v1_RegisterDeviceRequest, _ssom_alert_v1_RegisterDeviceResponse, _ssom_alert_v1_RegisterDeviceRequest__Output, _ssom_alert_v1_RegisterDeviceResponse__Output>
  UnregisterDevice: MethodDefinition<_ssom_alert_v1_UnregisterDeviceRequest, _ssom_alert_v1_UnregisterDeviceResponse, _ssom_alert_v1_UnregisterDeviceRequest__Output, _ssom_alert_v1_UnregisterDeviceResponse__Output>
}
