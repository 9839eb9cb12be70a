// Original file: proto/ssom/alert/v1/directory_service.proto


/**
 * See DirectoryService.ListUsers.
 */
export interface ListUsersRequest {
  /**
   * 1 to 500; 0 means 50. A page ends at 3 MiB, so it may be shorter while there is a next one.
   */
  'pageSize'?: (number);
  /**
   * next_page_token of the page before; empty for the first page.
   */
  'pageToken'?: (string);
  /**
   * Only this department. Empty means all.
   */
  'department'?: (string);
}

/**
 * See DirectoryService.ListUsers.
 */
export interface ListUsersRequest__Output {
  /**
   * 1 to 500; 0 means 50. A page ends at 3 MiB, so it may be shorter while there is a next one.
   */
  'pageSize': (number);
  /**
   * next_page_token of the page before; empty for the first page.
   */
  'pageToken': (string);
  /**
   * Only this department. Empty means all.
   */
  'department': (string);
}
