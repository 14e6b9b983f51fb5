-- Where an SMF said last that a SIM is, with its session: known again after a restart, as long as the session lives.

ALTER TABLE gx_sessions ADD COLUMN place_plmn TEXT;
ALTER TABLE gx_sessions ADD COLUMN place_tac BIGINT;
ALTER TABLE gx_sessions ADD COLUMN place_cell BIGINT;
ALTER TABLE gx_sessions ADD COLUMN place_radio TEXT;
ALTER TABLE gx_sessions ADD COLUMN place_since BIGINT;
