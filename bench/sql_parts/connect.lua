-- A connection for each query.
sysbench.cmdline.options = {
   tables = {"", 1}, table_size = {"", 10000},
}
function thread_init()
   drv = sysbench.sql.driver()
end
function event()
   local con = drv:connect()
   con:query("SELECT c FROM sbtest1 WHERE id = " .. sysbench.rand.uniform(1, sysbench.opt.table_size))
   con:disconnect()
end
