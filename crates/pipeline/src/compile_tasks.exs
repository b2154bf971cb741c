# Loaded by `elixir -r` before mix: compiles the tasks in session.exs beside this file, and leaves
# them in the folder `tasks` for the next build.
made = Path.join(__DIR__, "tasks.new")
File.mkdir(made)
write = fn {module, beam} -> File.write(Path.join(made, "#{module}.beam"), beam) end
modules = Code.require_file("session.exs", __DIR__)
# Where there is no room, the next build compiles them too.
if Enum.all?(modules, &(write.(&1) == :ok)), do: File.rename(made, Path.join(__DIR__, "tasks"))
