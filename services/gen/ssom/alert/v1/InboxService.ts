// Original file: proto/ssom/alert/v1/inbox_service.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { DeleteFromInboxRequest as _ssom_alert_v1_DeleteFromInboxRequest, DeleteFromInboxRequest__Output as _ssom_alert_v1_DeleteFromInboxRequest__Output } from '../../../ssom/alert/v1/DeleteFromInboxRequest.js';
import type { DeleteFromInboxResponse as _ssom_alert_v1_DeleteFromInboxResponse, DeleteFromInboxResponse__Output as _ssom_alert_v1_DeleteFromInboxResponse__Output } from '../../../ssom/alert/v1/DeleteFromInboxResponse.js';
import type { GetUnreadCountRequest as _ssom_alert_v1_GetUnreadCountRequest, GetUnreadCountRequest__Output as _ssom_alert_v1_GetUnreadCountRequest__Output } from '../../../ssom/alert/v1/GetUnreadCountRequest.js';
import type { GetUnreadCountResponse as _ssom_alert_v1_GetUnreadCountResponse, GetUnreadCountResponse__Output as _ssom_alert_v1_GetUnreadCountResponse__Output } from '../../../ssom/alert/v1/GetUnreadCountResponse.js';
import type { ListInboxRequest as _ssom_alert_v1_ListInboxRequest, ListInboxRequest__Output as _ssom_alert_v1_ListInboxRequest__Output } from '../../../ssom/alert/v1/ListInboxRequest.js';
import type { ListInboxResponse as _ssom_alert_v1_ListInboxResponse, ListInboxResponse__Output as _ssom_alert_v1_ListInboxResponse__Output } from '../../../ssom/alert/v1/ListInboxResponse.js';
import type { MarkAllReadRequest as _ssom_alert_v1_MarkAllReadRequest, MarkAllReadRequest__Output as _ssom_alert_v1_MarkAllReadRequest__Output } from '../../../ssom/alert/v1/MarkAllReadRequest.js';
import type { MarkAllReadResponse as _ssom_alert_v1_MarkAllReadResponse, MarkAllReadResponse__Output as _ssom_alert_v1_MarkAllReadResponse__Output } from '../../../ssom/alert/v1/MarkAllReadResponse.js';
import type { MarkReadRequest as _ssom_alert_v1_MarkReadRequest, MarkReadRequest__Output as _ssom_alert_v1_MarkReadRequest__Output } from '../../../ssom/alert/v1/MarkReadRequest.js';
import type { MarkReadResponse as _ssom_alert_v1_MarkReadResponse, MarkReadResponse__Output as _ssom_alert_v1_MarkReadResponse__Output } from '../../../ssom/alert/v1/MarkReadResponse.js';
import type { MarkUnreadRequest as _ssom_alert_v1_MarkUnreadRequest, MarkUnreadRequest__Output as _ssom_alert_v1_MarkUnreadRequest__Output } from '../../../ssom/alert/v1/MarkUnreadRequest.js';
import type { MarkUnreadResponse as _ssom_alert_v1_MarkUnreadResponse, MarkUnreadResponse__Output as _ssom_alert_v1_MarkUnreadResponse__Output } from '../../../ssom/alert/v1/MarkUnreadResponse.js';

/**
 * A user's inbox. Every method is about the calling user's own inbox, unless user_id names another one, which needs the
 * scope admin.
 */
export interface InboxServiceClient extends grpc.Client {
  /**
   * Removes alerts from the inbox, for good: a repeated delivery does not bring them back.
   */
  DeleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  DeleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  DeleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  DeleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Removes alerts from the inbox, for good: a repeated delivery does not bring them back.
   */
  deleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  deleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  deleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  deleteFromInbox(argument: _ssom_alert_v1_DeleteFromInboxRequest, callback: grpc.requestCallback<_ssom_alert_v1_DeleteFromInboxResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * How many alerts of the inbox are unread.
   */
  GetUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  GetUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  GetUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  GetUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  /**
   * How many alerts of the inbox are unread.
   */
  getUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  getUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  getUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  getUnreadCount(argument: _ssom_alert_v1_GetUnreadCountRequest, callback: grpc.requestCallback<_ssom_alert_v1_GetUnreadCountResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * The inbox, newest alert first (alert_id descending). Deleted entries are left out.
   */
  ListInbox(argument: _ssom_alert_v1_ListInboxRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  ListInbox(argument: _ssom_alert_v1_ListInboxRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  ListInbox(argument: _ssom_alert_v1_ListInboxRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  ListInbox(argument: _ssom_alert_v1_ListInboxRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  /**
   * The inbox, newest alert first (alert_id descending). Deleted entries are left out.
   */
  listInbox(argument: _ssom_alert_v1_ListInboxRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  listInbox(argument: _ssom_alert_v1_ListInboxRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  listInbox(argument: _ssom_alert_v1_ListInboxRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  listInbox(argument: _ssom_alert_v1_ListInboxRequest, callback: grpc.requestCallback<_ssom_alert_v1_ListInboxResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Marks everything as read that is in the inbox when the call is made, 1,000 entries at a time, newest first; alerts that
   * arrive meanwhile have their turn in between. If the call is cancelled or its deadline ends, what was marked stays marked,
   * and the next call goes on from there. Of several calls for one inbox one runs at a time; those that come meanwhile
   * share the next run, which begins 100 ms after they ask at the earliest, and what it changes is told to the first of them.
   */
  MarkAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  MarkAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  MarkAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  MarkAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Marks everything as read that is in the inbox when the call is made, 1,000 entries at a time, newest first; alerts that
   * arrive meanwhile have their turn in between. If the call is cancelled or its deadline ends, what was marked stays marked,
   * and the next call goes on from there. Of several calls for one inbox one runs at a time; those that come meanwhile
   * share the next run, which begins 100 ms after they ask at the earliest, and what it changes is told to the first of them.
   */
  markAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  markAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  markAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  markAllRead(argument: _ssom_alert_v1_MarkAllReadRequest, callback: grpc.requestCallback<_ssom_alert_v1_MarkAllReadResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Marks alerts as read. Ones that are not in the inbox (or deleted) are ignored and not counted.
   */
  MarkRead(argument: _ssom_alert_v1_MarkReadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  MarkRead(argument: _ssom_alert_v1_MarkReadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  MarkRead(argument: _ssom_alert_v1_MarkReadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  MarkRead(argument: _ssom_alert_v1_MarkReadRequest, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Marks alerts as read. Ones that are not in the inbox (or deleted) are ignored and not counted.
   */
  markRead(argument: _ssom_alert_v1_MarkReadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  markRead(argument: _ssom_alert_v1_MarkReadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  markRead(argument: _ssom_alert_v1_MarkReadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  markRead(argument: _ssom_alert_v1_MarkReadRequest, callback: grpc.requestCallback<_ssom_alert_v1_MarkReadResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Marks alerts as unread again.
   */
  MarkUnread(argument: _ssom_alert_v1_MarkUnreadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  MarkUnread(argument: _ssom_alert_v1_MarkUnreadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  MarkUnread(argument: _ssom_alert_v1_MarkUnreadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  MarkUnread(argument: _ssom_alert_v1_MarkUnreadRequest, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Marks alerts as unread again.
   */
  markUnread(argument: _ssom_alert_v1_MarkUnreadRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  markUnread(argument: _ssom_alert_v1_MarkUnreadRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  markUnread(argument: _ssom_alert_v1_MarkUnreadRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  markUnread(argument: _ssom_alert_v1_MarkUnreadRequest, callback: grpc.requestCallback<_ssom_alert_v1_MarkUnreadResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * A user's inbox. Every method is about the calling user's own inbox, unless user_id names another one, which needs the
 * scope admin.
 */
export interface InboxServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Removes alerts from the inbox, for good: a repeated delivery does not bring them back.
   */
  DeleteFromInbox: grpc.handleUnaryCall<_ssom_alert_v1_DeleteFromInboxRequest__Output, _ssom_alert_v1_DeleteFromInboxResponse>;
  
  /**
   * How many alerts of the inbox are unread.
   */
  GetUnreadCount: grpc.handleUnaryCall<_ssom_alert_v1_GetUnreadCountRequest__Output, _ssom_alert_v1_GetUnreadCountResponse>;
  
  /**
   * The inbox, newest alert first (alert_id descending). Deleted entries are left out.
   */
  ListInbox: grpc.handleUnaryCall<_ssom_alert_v1_ListInboxRequest__Output, _ssom_alert_v1_ListInboxResponse>;
  
  /**
   * Marks everything as read that is in the inbox when the call is made, 1,000 entries at a time, newest first; alerts that
   * arrive meanwhile have their turn in between. If the call is cancelled or its deadline ends, what was marked stays marked,
   * and the next call goes on from there. Of several calls for one inbox one runs at a time; those that come meanwhile
   * share the next run, which begins 100 ms after they ask at the earliest, and what it changes is told to the first of them.
   */
  MarkAllRead: grpc.handleUnaryCall<_ssom_alert_v1_MarkAllReadRequest__Output, _ssom_alert_v1_MarkAllReadResponse>;
  
  /**
   * Marks alerts as read. Ones that are not in the inbox (or deleted) are ignored and not counted.
   */
  MarkRead: grpc.handleUnaryCall<_ssom_alert_v1_MarkReadRequest__Output, _ssom_alert_v1_MarkReadResponse>;
  
  /**
   * Marks alerts as unread again.
   */
  MarkUnread: grpc.handleUnaryCall<_ssom_alert_v1_MarkUnreadRequest__Output, _ssom_alert_v1_MarkUnreadResponse>;
  
}

export interface InboxServiceDefinition extends grpc.ServiceDefinition {
  DeleteFromInbox: MethodDefinition<_ssom_alert_v1_DeleteFromInboxRequest, _ssom_alert_v1_DeleteFromInboxResponse, _ssom_alert_v1_DeleteFromInboxRequest__Output, _ssom_alert_v1_DeleteFromInboxResponse__Output>
  GetUnreadCount: MethodDefinition<_ssom_alert_v1_GetUnreadCountRequest, _ssom_alert_v1_GetUnreadCountResponse, _ssom_alert_v1_GetUnreadCountRequest__Output, _ssom_alert_v1_GetUnreadCountResponse__Output>
  ListInbox: MethodDefinition<_ssom_alert_v1_ListInboxRequest, _ssom_alert_v1_ListInboxResponse, _ssom_alert_v1_ListInboxRequest__Output, _ssom_alert_v1_ListInboxResponse__Output>
  MarkAllRead: MethodDefinition<_ssom_alert_v1_MarkAllReadRequest, _ssom_alert_v1_MarkAllReadResponse, _ssom_alert_v1_MarkAllReadRequest__Output, _ssom_alert_v1_MarkAllReadResponse__Output>
  MarkRead: MethodDefinition<_ssom_alert_v1_MarkReadRequest, _ssom_alert_v1_MarkReadResponse, _ssom_alert_v1_MarkReadRequest__Output, _ssom_alert_v1_MarkReadResponse__Output>
  MarkUnread: MethodDefinition<_ssom_alert_v1_MarkUnreadRequest, _ssom_alert_v1_MarkUnreadResponse, _ssom_alert_v1_MarkUnreadRequest__Output, _ssom_alert_v1_MarkUnreadResponse__Output>
}
