DROP TABLE oauth_flows, connect_sessions, refresh_leases, connections,
    integrations, root_keys, data_keys, api_keys, environments, accounts;
