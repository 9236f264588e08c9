DROP TABLE hmac_keys;
ALTER TABLE environments DROP COLUMN hmac_required;
