# Loaded by `elixir -r` before mix. Compiles the tasks in session.exs, next to this file, and saves them in the
# directory `tasks` for the next build.
staged = Path.join(__DIR__, "tasks.new")
File.mkdir(staged)
write = fn {module, beam} -> File.write(Path.join(staged, "#{module}.beam"), beam) end
modules = Code.require_file("session.exs", __DIR__)
# If they can't be written, the next build compiles them again.
if Enum.all?(modules, &(write.(&1) == :ok)), do: File.rename(staged, Path.join(__DIR__, "tasks"))
