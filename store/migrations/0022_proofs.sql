-- A grant that is a proof says whose: it counts as long as the SIM is that person's.
ALTER TABLE grants ADD COLUMN prover TEXT;
