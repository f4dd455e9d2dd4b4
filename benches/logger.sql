-- What people write by hand: event triggers in PL/pgSQL that insert each command into a table.
CREATE TABLE public.ddl_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    role name NOT NULL DEFAULT current_user,
    command text NOT NULL,
    object text,
    query text
);
CREATE FUNCTION public.log_command() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.ddl_log (command, object, query)
    SELECT command_tag, object_identity, current_query() FROM pg_event_trigger_ddl_commands();
END $$;
CREATE FUNCTION public.log_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.ddl_log (command, object, query)
    SELECT tg_tag, object_identity, current_query() FROM pg_event_trigger_dropped_objects() WHERE original;
END $$;
CREATE EVENT TRIGGER log_command ON ddl_command_end EXECUTE FUNCTION public.log_command();
CREATE EVENT TRIGGER log_drop ON sql_drop EXECUTE FUNCTION public.log_drop();
