#!/bin/sh
# Runs once, when the database container makes its cluster: the login roles and the two databases. What each role
# may do is in grants.sql, which the embedded PostgreSQL of `wafergate up` uses as well.
set -eu

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
    --set owner_password="$WAFERGATE_OWNER_PASSWORD" --set app_password="$WAFERGATE_APP_PASSWORD" \
    --set dashboard_password="$WAFERGATE_DASHBOARD_PASSWORD" --set prefect_password="$PREFECT_PASSWORD" <<'SQL'
CREATE ROLE wafergate_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE wafergate_app LOGIN PASSWORD :'app_password';
CREATE ROLE wafergate_dashboard LOGIN PASSWORD :'dashboard_password';
CREATE ROLE prefect LOGIN PASSWORD :'prefect_password';
CREATE DATABASE wafergate OWNER wafergate_owner;
CREATE DATABASE prefect OWNER prefect;
REVOKE ALL ON DATABASE prefect FROM PUBLIC;
SQL

psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname wafergate --file /wafergate/grants.sql
