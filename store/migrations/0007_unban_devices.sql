-- An unban that waits for a second person may be of a device, too: what it is of, by its scope.
-- scope 'sim': value is the IMSI, to_state the state that it gets. scope 'imei': value is the 14 digits of the device,
-- to_state is empty.

ALTER TABLE unban_requests RENAME COLUMN imsi TO value;
ALTER TABLE unban_requests ADD COLUMN scope TEXT NOT NULL DEFAULT 'sim';
