//! The tables as diesel sees them; `migrations/` is what makes them.
#![allow(missing_docs, reason = "columns are documented in the migrations")]

diesel::table! {
    accounts (id) {
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    environments (id) {
        id -> Uuid,
        account_id -> Uuid,
        name -> Text,
        is_production -> Bool,
        public_key -> Uuid,
        hmac_required -> Bool,
        created_at -> Timestamptz,
        number -> Int8,
    }
}

diesel::table! {
    hmac_keys (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        key -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    api_keys (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        name -> Text,
        hash -> Bytea,
        scopes -> Array<Text>,
        created_at -> Timestamptz,
        deleted_at -> Nullable<Timestamptz>,
        number -> Int8,
    }
}

diesel::table! {
    webhook_signing_keys (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        key -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    data_keys (environment_id, version) {
        environment_id -> Uuid,
        version -> Int4,
        root_key_id -> Text,
        wrapped -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    root_keys (id) {
        id -> Text,
        check_value -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    integrations (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        unique_key -> Text,
        provider -> Text,
        display_name -> Nullable<Text>,
        client_id -> Nullable<Text>,
        secrets -> Bytea,
        scopes -> Nullable<Text>,
        config -> Jsonb,
        forward_webhooks -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        registering_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    connections (environment_id, id) {
        environment_id -> Uuid,
        id -> Int8,
        integration_id -> Uuid,
        connection_id -> Text,
        credentials -> Bytea,
        credentials_version -> Int8,
        credentials_expire_at -> Nullable<Timestamptz>,
        connection_config -> Jsonb,
        metadata -> Bytea,
        tags -> Jsonb,
        end_user -> Nullable<Jsonb>,
        last_refresh_failure_at -> Nullable<Timestamptz>,
        last_fetched_at -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        webhook_url_override -> Nullable<Text>,
        config_secrets -> Nullable<Bytea>,
        refresh_error_log_id -> Nullable<Uuid>,
        refresh_failure_days -> Int2,
        refresh_failure_counted_on -> Nullable<Date>,
        keep_alive_at -> Timestamptz,
    }
}

diesel::table! {
    refresh_leases (environment_id, connection) {
        environment_id -> Uuid,
        connection -> Int8,
        holder -> Uuid,
        expires_at -> Timestamptz,
        credentials_version -> Int8,
        is_contested -> Bool,
    }
}

diesel::table! {
    connect_sessions (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        token_hash -> Bytea,
        allowed_integrations -> Nullable<Array<Text>>,
        details -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    oauth_flows (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        integration_id -> Uuid,
        state_hash -> Bytea,
        details -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    events (environment_id, id) {
        environment_id -> Uuid,
        id -> Int8,
        kind -> Text,
        integration_id -> Uuid,
        connection -> Int8,
        connection_id -> Text,
        operation_id -> Nullable<Uuid>,
        occurred_at -> Timestamptz,
    }
}

diesel::table! {
    popup_channels (id_hash) {
        id_hash -> Bytea,
        holder -> Uuid,
        origin -> Nullable<Text>,
        is_bound -> Bool,
        result -> Nullable<Jsonb>,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    sync_functions (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        integration_id -> Uuid,
        name -> Text,
        native -> Nullable<Text>,
        description -> Nullable<Text>,
        version -> Nullable<Text>,
        frequency -> Text,
        models -> Array<Text>,
        auto_start -> Bool,
        track_deletes -> Bool,
        is_leaving -> Bool,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    syncs (environment_id, id) {
        environment_id -> Uuid,
        id -> Uuid,
        connection -> Int8,
        function_id -> Uuid,
        variant -> Text,
        state -> Text,
        frequency -> Nullable<Text>,
        schedule_id -> Nullable<Int8>,
        is_reset_due -> Bool,
        empties_asked -> Int8,
        empties_done -> Int8,
        is_again_due -> Bool,
        synced_at -> Nullable<Timestamptz>,
        run_job -> Nullable<Int8>,
        run_fence -> Int8,
        run_attempt -> Int2,
        run_status -> Nullable<Text>,
        run_reason -> Nullable<Text>,
        run_is_initial -> Bool,
        run_started_at -> Nullable<Timestamptz>,
        run_finished_at -> Nullable<Timestamptz>,
        run_result -> Nullable<Jsonb>,
        run_error -> Nullable<Text>,
        run_operation -> Nullable<Uuid>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    checkpoints (environment_id, connection, key) {
        environment_id -> Uuid,
        connection -> Int8,
        key -> Text,
        value -> Jsonb,
        version -> Int8,
        updated_at -> Timestamptz,
    }
}

diesel::allow_tables_to_appear_in_same_query!(environments, api_keys, data_keys);
diesel::allow_tables_to_appear_in_same_query!(environments, hmac_keys);
diesel::allow_tables_to_appear_in_same_query!(
    integrations,
    connections,
    oauth_flows,
    refresh_leases
);
